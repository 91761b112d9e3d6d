"""What the command line prints is whole, however wide the screen is."""

import io

import pytest
from rich.console import Console
from rich.table import Table

from course_lib.lesson import screen

ROWS = [
    ("02_log_mel_features", "[green]✔ passed[/]", "0.31", "12 of 12 as expected"),
    ("all", "1 of 1 passed", "25.0 (6.2 to 50.0)", "+12.5 (-3.1 to +28.1)"),
]


def printed(show, width):
    out = io.StringIO()
    show(Console(file=out, width=width, highlight=False))
    return out.getvalue()


def table():
    made = Table()
    for name in ("notebook", "state", "minutes", "numbers"):
        made.add_column(name, justify="right", no_wrap=True)
    for row in ROWS:
        made.add_row(*row)
    return made


@pytest.mark.parametrize("width", [5, 20, 40, 61, 80, 200])
def test_a_table_of_any_width_cuts_no_word(width):
    text = printed(lambda console: screen.print_table(table(), console, f"records in [x]{'/long' * 30}"), width)
    assert "…" not in text and f"[x]{'/long' * 30}" in text
    for row in ROWS:
        for word in " ".join(row).replace("[green]", "").replace("[/]", "").split():
            assert word in text
    assert max(map(len, text.splitlines()[1:])) == min(84, max(53, width)), "as wide as it needs, if there is room"


@pytest.mark.parametrize("width", [40, 80, 1000])
def test_tables_in_markdown_are_lists_whose_words_are_whole(width):
    card = (
        "## `a`: title\n\n| | |\n|---|---|\n| known flaws | none, that we know |\n\n| file | checked by |\n|---|---|\n"
    )
    card += f"| <https://host/{'a' * 120}.zip> | `sha256:{'0' * 64}` |\n| <https://host/b.zip> | `md5:1` |\n"
    text = printed(lambda console: screen.print_markdown(card, console), width)
    assert "|" not in text and "**" not in text and "…" not in text
    assert "known flaws: none, that we know" in text and "https://host/b.zip: md5:1" in text
    assert width < 1000 or f"https://host/{'a' * 120}.zip" in text
    assert len(max(text.splitlines(), key=len)) <= min(width, 150)


@pytest.mark.parametrize(("columns", "width"), [(None, screen.LOG_WIDTH), ("50", 50)])
def test_a_console_without_a_terminal_is_as_wide_as_it_needs(monkeypatch, columns, width):
    monkeypatch.setattr("sys.stdout", io.StringIO())
    monkeypatch.delenv("COLUMNS", raising=False)
    if columns:
        monkeypatch.setenv("COLUMNS", columns)
    assert screen.console().width == width

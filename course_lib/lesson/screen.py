"""What the command line prints: a console that is wide in logs and pipes, and tables that never cut off a number."""

import os
import re
import sys

from rich.cells import cell_len
from rich.console import Console
from rich.markdown import Markdown
from rich.table import Table
from rich.text import Text

LOG_WIDTH = 1000  # characters per line in a log or a pipe, where no edge forces a line break
PAGE_WIDTH = 100  # characters per line of prose in a wider terminal


def console() -> Console:
    """As wide as the terminal, or as `COLUMNS` says; without either, in a log or a pipe, as wide as any table needs."""
    narrow = sys.stdout.isatty() or "COLUMNS" in os.environ
    return Console(highlight=False, width=None if narrow else LOG_WIDTH)


def print_table(table: Table, console: Console, title: str = "") -> None:
    """Print `table` below `title`. Cells wrap between words, never inside one: rich would print `25.0 (6.2 t…`.

    A table whose longest words do not fit side by side runs over the edge of the terminal, so nothing is lost.
    """
    cells = [[Text.from_markup(str(cell)).plain for cell in (c.header, *c.cells)] for c in table.columns]
    widths = [max(map(cell_len, column)) for column in cells]
    longest_words = [max(map(cell_len, " ".join(column).split()), default=0) for column in cells]
    edges = 3 * len(cells) + 1  # a line and a blank on either side of each column
    while sum(widths) + edges > console.width and widths != longest_words:
        foldable = [k for k, width in enumerate(widths) if width > longest_words[k]]
        widths[max(foldable, key=widths.__getitem__)] -= 1
    for column, width in zip(table.columns, widths, strict=True):
        column.width, column.no_wrap, column.overflow = width, False, "fold"
    table.width = sum(widths) + edges
    if title:
        console.print(Text(title, "italic"), soft_wrap=True)
    console.print(table, crop=False)


def print_markdown(text: str, console: Console) -> None:
    """Print Markdown with table rows as list items, because rich cuts off what is too long for a table cell."""
    rows = re.sub(r"^\|.*\|\n\|[-|]+\|\n", "", text, flags=re.MULTILINE)  # without the headers
    items = re.sub(r"^\| (.+?) \| (.+) \|$", r"- **\1**: \2", rows, flags=re.MULTILINE)
    longest = max(map(cell_len, items.split()), default=0)
    console.print(Markdown(items), width=max(PAGE_WIDTH, longest + 3))

"""docs/faults.md: one row a fault, from what the cases of this folder did and saw."""

import re
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from course_lib.paths import repo_root

DOC = repo_root() / "docs" / "faults.md"
HEAD = """# Faults

Things that can go wrong, each produced on purpose with the real command line, and what was lost each time. Paths are
shortened; what differs from run to run (process numbers, ports, checksums, times, accuracies) is left out.

Made by `make faults` from `tests/faults`; edit those. `make test` produces every fault again and compares.

| fault | what was done | what the user sees | exit | what was lost |
|---|---|---|---:|---|
"""
# What differs from run to run, and what stands for it
VOLATILE = (
    (r"process \d+", "process N"),
    (r"127\.0\.0\.1:\d+", "HOST"),
    (r"\d+\.\d\d min", "T min"),
    (r"\b[0-9a-f]{64}\b", "SUM"),
    (r"\b[0-9a-f]{16}\b", "KEY"),
    (r"test \d+\.\d %", "test A %"),
)


@dataclass(frozen=True)
class Row:
    """One line of the table; `seen` are lines of the screen, `exit` the exit status or several in their order."""

    fault: str
    done: str
    seen: str
    exit: str
    lost: str


def cases() -> list[str]:
    """Every fault that a case of this folder makes, in the order of the cases."""
    texts = [path.read_text(encoding="utf-8") for path in sorted(Path(__file__).parent.glob("test_fault_*.py"))]
    return [name for text in texts for name in re.findall(r'^@pytest\.mark\.fault\(\s*"(.+?)"', text, re.M)]


def normalised(text: str, places: list[str]) -> str:
    """`text` without what differs from run to run; `places` are folders that paths are told from."""
    for place in places:
        text = text.replace(f"{place}/", "")
    for pattern, name in VOLATILE:
        text = re.sub(pattern, name, text)
    return re.sub(r" +", " ", text).strip()


def screen(lines: list[str]) -> str:
    """Lines of a screen as one cell of the table."""
    return "<br>".join(f"`{line}`".replace("|", "\\|") for line in lines)


def written(rows: list[Row]) -> str:
    """The whole file."""
    return HEAD + "".join(f"| {' | '.join(astuple(row))} |\n" for row in rows)


def stored() -> dict[str, Row]:
    """The rows of the committed file by fault, in their order."""
    lines = DOC.read_text(encoding="utf-8").splitlines() if DOC.exists() else []
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines if line.startswith("|")]
    rows = [Row(*row) for row in cells[2:] if len(row) == len(fields(Row))]
    return {row.fault: row for row in rows}

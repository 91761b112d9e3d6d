"""The pictures that the README shows, drawn from published rows; each carries its text, and what it was drawn from.

A picture that was drawn from other rows than those that are published now is drawn again by `write`; a test fails
while there is one. Whoever changes how a picture is drawn removes it, and lets `write` draw it anew.
"""

import hashlib
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import pandas as pd

from course_lib import paths
from course_lib.analysis import claim_parts, figures, pareto, per_class, questions, scene_questions, verdicts
from course_lib.paths import atomic_write

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DPI = 110


@dataclass(frozen=True)
class Drawn:
    """A picture: its file below the published results, the grids that it is drawn from, its text, how to draw it."""

    name: str
    grids: tuple[str, ...]
    text: Callable[[], str]
    draw: Callable[[], "Figure"]

    @property
    def path(self) -> Path:
        """Where it lies."""
        return paths.published_dir() / self.name

    @property
    def source(self) -> str:
        """A hash of the published files that it is drawn from, empty where none of its grids is published."""
        found = [paths.published_dir() / grid / name for grid in self.grids for name in ("rows.parquet", "summary.csv")]
        there = [path.read_bytes() for path in found if path.is_file()]
        return hashlib.sha256(b"".join(there)).hexdigest() if there else ""


def hops() -> pd.DataFrame:
    """The published summary of the hop sweep of the grid `lesson`, one row a hop."""
    summary = pd.read_csv(paths.published_dir() / "lesson" / "summary.csv")
    return summary[summary["part"] == "hop"]


def _diffres() -> pd.DataFrame:
    return questions.answers(questions.published("diffres"))


def _scenes() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rows on scenes that differ in their streams alone, and what they say to tagging."""
    usual = figures.usual_scenes(questions.published("scenes"), "streams")
    answers = scene_questions.answers(usual)
    return usual, answers[answers["score"] == "tagging"]


def _systems() -> pd.DataFrame:
    return pareto.table(questions.published)


def _classes() -> pd.DataFrame:
    return per_class.against(claim_parts.sweep(verdicts.Evidence()))


FIGURES = (
    Drawn("systems.png", tuple(dict.fromkeys(family.grid for family in pareto.FAMILIES)),
          lambda: pareto.systems_text(_systems()), lambda: pareto.systems_figure(_systems())),
    Drawn("lesson/hop.png", ("lesson",), lambda: figures.hop_text(hops()), lambda: figures.hop_figure(hops())),
    Drawn("lesson/classes.png", ("lesson",), lambda: per_class.classes_text(_classes()),
          lambda: per_class.classes_figure(_classes())),
    Drawn("diffres/claims.png", ("diffres",), lambda: figures.claims_text(_diffres()),
          lambda: figures.claims_figure(_diffres())),
    Drawn("scenes/tagging.png", ("scenes",),
          lambda: figures.scenes_subsets_text(*_scenes(), scene_questions.PAPER["tagging"]),
          lambda: figures.scenes_subsets_figure(*_scenes(), scene_questions.PAPER["tagging"])),
)  # fmt: skip


def markdown(name: str) -> str:
    """A line of Markdown that shows the picture `name` from the repository's root, its text beside it."""
    (drawn,) = (one for one in FIGURES if one.name == name)
    return f"![{drawn.text()}](study/results/{name})"


def stale() -> list[Drawn]:
    """Pictures that are missing or were drawn from other rows than those that are published."""
    return [one for one in FIGURES if one.source and _drawn_from(one.path) != one.source]


def _drawn_from(path: Path) -> str:
    from PIL import Image

    if not path.is_file():
        return ""
    with Image.open(path) as picture:
        return getattr(picture, "text", {}).get("Source", "")


def write() -> list[Path]:
    """Draw what is stale; returns the files."""
    written = []
    for one in stale():
        fig, full = one.draw(), io.BytesIO()
        fig.savefig(full, format="png", dpi=DPI, metadata={"Description": one.text(), "Source": one.source})
        plt.close(fig)
        atomic_write(one.path, full.getvalue())
        written.append(one.path)
    return written

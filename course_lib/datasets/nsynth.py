"""NSynth: single notes of some thousand instruments in eleven families (Engel et al. 2017)."""

import json
from pathlib import Path

import pandas as pd

from course_lib.datasets import files

FOLDERS = {"train": "nsynth-train", "validation": "nsynth-valid", "test": "nsynth-test"}


def nsynth(folder: Path) -> pd.DataFrame:
    """One row a note, from the three `examples.json`: the label is the family, the source the instrument."""
    rows = []
    for part, name in FOLDERS.items():
        notes = json.loads((folder / name / "examples.json").read_text(encoding="utf-8"))
        rows += [
            (note, d["instrument_family_str"], d["instrument_str"], d["pitch"], d["velocity"], part,
             f"{name}/audio/{note}.wav")
            for note, d in sorted(notes.items())
        ]  # fmt: skip
    table = pd.DataFrame(rows, columns=["clip", "label", "source", "pitch", "velocity", "part", "path"])
    return table.assign(fold=table["part"].map(files.PARTS))

"""ESC-10 and ESC-50: environmental sounds in five official folds (Piczak 2015)."""

from pathlib import Path

import pandas as pd

from course_lib.datasets import files

# By the number that each folder's name begins with, in the words of ESC-50's own table
LABELS = {
    "001": "dog",
    "002": "rain",
    "003": "sea_waves",
    "004": "crying_baby",
    "005": "clock_tick",
    "006": "sneeze",
    "007": "helicopter",
    "008": "chainsaw",
    "009": "rooster",
    "010": "crackling_fire",
}


def esc10(folder: Path) -> pd.DataFrame:
    """One row a clip, from names like `001 - Dog bark/1-30226-A.ogg`: fold 1, source 30226, take A."""
    rows = []
    for path in sorted(folder.glob("0* - */*.ogg")):
        fold, source, take = path.stem.split("-")
        label = LABELS[path.parent.name[:3]]
        rows.append((path.stem, label, int(fold), source, take, path.relative_to(folder).as_posix()))
    return pd.DataFrame(rows, columns=["clip", "label", "fold", "source", "take", "path"])


def esc50(folder: Path) -> pd.DataFrame:
    """One row a clip, from `meta/esc50.csv`; the column `esc10` marks the clips of the smaller set."""
    meta = files.read_csv(folder / "meta" / "esc50.csv", ["filename", "fold", "category", "esc10", "src_file", "take"])
    return pd.DataFrame(
        {
            "clip": meta["filename"].str.removesuffix(".wav"),
            "label": meta["category"],
            "fold": meta["fold"].astype(int),
            "source": meta["src_file"],
            "take": meta["take"],
            "esc10": meta["esc10"] == "True",
            "path": "audio/" + meta["filename"],
        }
    )

"""UrbanSound8K: ten classes of street sound in ten official folds (Salamon, Jacoby & Bello 2014)."""

from pathlib import Path

import pandas as pd

from course_lib.datasets import files


def urbansound8k(folder: Path) -> pd.DataFrame:
    """One row a clip, from `metadata/UrbanSound8K.csv`. The source is the Freesound recording.

    Five recordings are in two official folds, with another class in each: see the card.
    """
    columns = ["slice_file_name", "fsID", "salience", "fold", "class"]
    meta = files.read_csv(folder / "metadata" / "UrbanSound8K.csv", columns)
    return pd.DataFrame(
        {
            "clip": meta["slice_file_name"].str.removesuffix(".wav"),
            "label": meta["class"],
            "fold": meta["fold"].astype(int),
            "source": meta["fsID"],
            "salience": meta["salience"].astype(int),
            "path": "audio/fold" + meta["fold"] + "/" + meta["slice_file_name"],
        }
    )

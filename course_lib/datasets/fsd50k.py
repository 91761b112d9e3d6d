"""FSD50K: clips from Freesound with several of two hundred labels each (Fonseca et al. 2020)."""

from pathlib import Path

import pandas as pd

from course_lib.datasets import files
from course_lib.datasets.clips import BETWEEN


def fsd50k(folder: Path) -> pd.DataFrame:
    """One row a clip, from `dev.csv` and `eval.csv`; `labels` holds all its labels, `label` the first.

    The published task is that of all labels: grids with `task = "tags"`. The first label alone makes one class of a
    clip, which is good for an exercise and for no comparison with published numbers.
    """
    truth = folder / "FSD50K.ground_truth"
    dev = files.read_csv(truth / "dev.csv", ["fname", "labels", "split"])
    held_out = files.read_csv(truth / "eval.csv", ["fname", "labels"])
    dev["part"] = dev["split"].map({"train": "train", "val": "validation"})
    dev["path"] = "FSD50K.dev_audio/" + dev["fname"] + ".wav"
    held_out["part"] = "test"
    held_out["path"] = "FSD50K.eval_audio/" + held_out["fname"] + ".wav"
    both = pd.concat([dev, held_out], ignore_index=True)
    table = both[["part", "path"]].assign(clip=both["fname"], source=both["fname"])
    table["label"] = both["labels"].str.split(",").str[0]
    table["labels"] = both["labels"].str.replace(",", BETWEEN)
    return table.assign(fold=table["part"].map(files.PARTS))

"""FSD50K: clips from Freesound with several of two hundred labels each (Fonseca et al. 2020)."""

from pathlib import Path

import pandas as pd

from course_lib.datasets import files


def fsd50k(folder: Path) -> pd.DataFrame:
    """One row a clip, from `dev.csv` and `eval.csv`; `labels` holds all its labels, `label` the first.

    The published task has several labels a clip. The first alone makes one class of it, which is good for an exercise
    and for no comparison with published numbers.
    """
    truth = folder / "FSD50K.ground_truth"
    dev = files.read_csv(truth / "dev.csv", ["fname", "labels", "split"])
    held_out = files.read_csv(truth / "eval.csv", ["fname", "labels"])
    dev["part"] = dev["split"].map({"train": "train", "val": "validation"})
    dev["path"] = "FSD50K.dev_audio/" + dev["fname"] + ".wav"
    held_out["part"] = "test"
    held_out["path"] = "FSD50K.eval_audio/" + held_out["fname"] + ".wav"
    both = pd.concat([dev, held_out], ignore_index=True)
    table = both[["labels", "part", "path"]].assign(clip=both["fname"], source=both["fname"])
    table["label"] = both["labels"].str.split(",").str[0]
    return table.assign(fold=table["part"].map(files.PARTS))

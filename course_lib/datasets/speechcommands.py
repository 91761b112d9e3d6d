"""Speech Commands v0.02: 35 words, a second each (Warden 2018)."""

from pathlib import Path

import pandas as pd

from course_lib.datasets import files

LISTS = {"validation": "validation_list.txt", "test": "testing_list.txt"}


def speechcommands(folder: Path) -> pd.DataFrame:
    """One row a clip, from names like `yes/0a7c2a8d_nohash_0.wav`: the source is the speaker `0a7c2a8d`.

    Part and fold come from the official lists; a clip in neither is for training. Background noise is left out.
    """
    listed = {}
    for part, name in LISTS.items():
        listed |= dict.fromkeys((folder / name).read_text(encoding="utf-8").split(), part)
    paths = (path.relative_to(folder) for path in sorted(folder.glob("[!_.]*/*.wav")))
    rows = [
        (path.with_suffix("").as_posix(), path.parent.name, path.name.split("_nohash_")[0], path.as_posix())
        for path in paths
    ]
    table = pd.DataFrame(rows, columns=["clip", "label", "source", "path"])
    table["part"] = table["path"].map(listed).fillna("train")
    return table.assign(fold=table["part"].map(files.PARTS))

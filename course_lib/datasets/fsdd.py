"""Free Spoken Digit Dataset: ten digits, six speakers, fifty takes of each."""

from pathlib import Path

import pandas as pd

OFFICIAL_TEST = 5  # takes 0 to 4 are the authors' test set


def fsdd(folder: Path) -> pd.DataFrame:
    """One row a clip, from names like `recordings/7_jackson_32.wav`.

    Fold and source are the speaker, so that a test asks for a voice that training did not know. `official_test` marks
    the authors' own test set, in which every speaker is known.
    """
    rows = [(path.stem, *path.stem.split("_")) for path in sorted((folder / "recordings").glob("*_*_*.wav"))]
    table = pd.DataFrame(rows, columns=["clip", "label", "source", "take"])
    table["take"] = table["take"].astype(int)
    speakers = sorted(table["source"].unique())
    table.insert(2, "fold", table["source"].map({speaker: fold for fold, speaker in enumerate(speakers, 1)}))
    return table.assign(
        speaker=table["source"],
        official_test=table["take"] < OFFICIAL_TEST,
        path="recordings/" + table["clip"] + ".wav",
    )

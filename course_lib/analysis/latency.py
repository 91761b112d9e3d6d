"""Milliseconds per clip, as measured with the rows, by network and kind of machine.

The time depends on the network and its input, not on how it was trained, so conditions with the same network share
their measurements within a grid. Different grids ran on different machines, so their times are not comparable.
"""

from collections.abc import Mapping

import pandas as pd

NETWORK = ("dataset", "model", "frame_reducer", "features.hop_ms", "features.n_mels", "features.rate_hz")
KINDS = {"cpu": "CPU", "cuda": "GPU", "mps": "GPU"}


def milliseconds(rows: pd.DataFrame, fields: Mapping[str, object]) -> dict[str, float]:
    """Median time in ms of one clip, without its log-mel, by kind of machine: `CPU` (one thread) and `GPU`.

    `rows` are all rows of a grid, `fields` those of one condition, of which only those in `NETWORK` count.
    """
    alike = pd.Series(True, index=rows.index)
    for name in (name for name in NETWORK if name in fields):
        alike &= rows[name] == fields[name]
    kinds = rows.loc[alike, "device"].str.partition(":")[0].map(KINDS)
    return rows.loc[alike, "latency_ms"].groupby(kinds).median().sort_index().to_dict()


def text(found: Mapping[str, float]) -> str:
    """Times by kind of machine, such as `4.6 CPU, 1.0 GPU`."""
    return ", ".join(f"{ms:.1f} {kind}" for kind, ms in found.items())


def machines(rows: pd.DataFrame) -> str:
    """What CPU and GPU stand for in `rows`, as a sentence."""
    kinds = rows["device"].str.partition(":")[0].map(KINDS)
    said = []
    for kind, names in rows["device_name"].groupby(kinds):
        listed = " and ".join(sorted(names.unique()))
        said.append(f"{kind}: one thread of a processor ({listed})" if kind == "CPU" else f"{kind}: {listed}")
    return f"Milliseconds are for one clip, without its log-mel. {'; '.join(said)}."

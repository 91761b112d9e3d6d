"""Accuracy beside measured time: test accuracies on ESC-10 from the published rows, milliseconds from `make bench`.

`bench/frontier.py` measures all conditions in turns, on one idle machine. The rows hold times too, but those come from
whichever machine ran them.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import pandas as pd

from course_lib import plots
from course_lib.analysis import questions
from course_lib.errors import CourseError
from course_lib.paths import repo_root
from course_lib.study import stats

if TYPE_CHECKING:
    from matplotlib.figure import Figure

USUAL = ("cnn7", 10.0, "none")  # the baseline for all others
ACCURACY = {"dataset": "esc10", "recipe.steps": 800, "features.window_ms": 25.0}
FAMILIES = ("fixed hop", "merged by rule", "DiffRes")
PANELS = {1: "one clip at a time", 16: "batches of 16 clips"}
RULES = {"average": "average pooling", "uniform": "equal widths", "flux": "widths by flux",
         "diffres-light": "DiffRes (light scorer)", "diffres-contrast": "DiffRes (contrast variant)",
         "diffres": "DiffRes (published scorer)"}  # fmt: skip


def path() -> Path:
    """The file that `bench/frontier.py` writes."""
    return repo_root() / "bench" / "results" / "frontier.json"


def _measured() -> dict:
    """What `bench/frontier.py` wrote."""
    if not path().is_file():
        raise CourseError(f"{path()}: not found; restore it from the repository, or run `make bench`")
    return json.loads(path().read_text(encoding="utf-8"))


def measured_on() -> str:
    """Processor and date of the measurement."""
    made = _measured()["provenance"]
    return f"{made['processor']}, {made['date'][:10]}"


def times() -> pd.DataFrame:
    """One row per condition, batch size and number of threads.

    Columns: `model`, `hop_ms`, `frame_reducer`, `batch`, `threads`, `macs` (of the network, per clip), `features_ms`,
    `network_ms` and their sum `ms` (per second of audio), and `macs_ratio` and `ms_ratio` relative to all frames of 10
    ms. The log-mel depends only on the hop, so conditions with the same hop share its lowest time.
    """
    rows = pd.DataFrame(_measured()["rows"])
    setting = ["batch", "threads"]
    rows["features_ms"] = rows.groupby([*setting, "hop_ms"])["features_ms"].transform("min")
    rows["ms"] = rows["features_ms"] + rows["network_ms"]
    model, hop_ms, reducer = USUAL
    is_usual = (rows["model"] == model) & (rows["hop_ms"] == hop_ms) & (rows["frame_reducer"] == reducer)
    usual = rows[setting].merge(rows.loc[is_usual, [*setting, "macs", "ms"]], on=setting, how="left")
    rows["macs_ratio"] = rows["macs"] / usual["macs"]
    rows["ms_ratio"] = rows["ms"] / usual["ms"]
    return rows


def table() -> pd.DataFrame:
    """Conditions of CNN7 on one thread that were both timed and trained on ESC-10 for 800 steps.

    Columns: those of `times`, `family` (one of `FAMILIES`) and `accuracy` (%).
    """
    rows, found = questions.chosen(questions.published("diffres"), ACCURACY | {"model": "cnn7"}), []
    timed = times()
    timed = timed[(timed["model"] == "cnn7") & (timed["threads"] == 1)]
    for time in timed.to_dict("records"):
        alike = questions.chosen(rows, {"features.hop_ms": time["hop_ms"], "frame_reducer": time["frame_reducer"]})
        if len(alike):
            accuracy = 100 * stats.mean_score(alike)
            found.append(time | {"family": _family(time["frame_reducer"]), "accuracy": accuracy})
    return pd.DataFrame(found)


def _family(reducer: str) -> str:
    if reducer == "none":
        return "fixed hop"
    return "DiffRes" if reducer.startswith("diffres") else "merged by rule"


def name(hop_ms: float, reducer: str) -> str:
    """A condition in words, such as `all frames of 40 ms` or `equal widths, 50 % of the frames`."""
    kind, _, saved = reducer.partition(":")
    if kind == "none":
        return f"all frames of {hop_ms:g} ms"
    finer = "" if hop_ms == 10 else f" of {hop_ms:g} ms"
    return f"{RULES[kind]}, {100 - 100 * float(saved):g} % of the frames{finer}"


def figure(found: pd.DataFrame) -> "Figure":
    """The cost of each condition relative to all frames of 10 ms: MACs, and time for one clip and in batches."""
    rows = _wide(found)
    marks = {
        "macs_ratio": ("o", "multiply-accumulates"),
        16: ("s", f"time, {PANELS[16]}"),
        1: ("^", f"time, {PANELS[1]}"),
    }
    with plt.rc_context(plots.STYLE):
        fig, ax = plt.subplots(figsize=(10, 0.4 * len(rows) + 1.4))
        ax.axvline(1, color="grey", linewidth=1, linestyle="--")
        for place, values in enumerate(rows[list(marks)].to_numpy()):
            ax.plot(
                [values.min(), values.max()], [place, place], color="lightgrey", linestyle="-", linewidth=3, zorder=0
            )
        for (column, (marker, label)), colour in zip(marks.items(), plots.COLOURS, strict=False):
            ax.plot(rows[column], range(len(rows)), marker, color=colour, markersize=8, label=label)
        ax.set_xscale("log")
        plots.log_ticks(ax.xaxis, (0.25, 0.5, 1, 2))
        ax.set_yticks(range(len(rows)), [f"{row.condition} ({row.accuracy:.1f} %)" for row in rows.itertuples()])
        ax.set(xlabel="share of what all frames of 10 ms need", ylim=(len(rows) - 0.4, -0.6))
        ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return fig


def _wide(found: pd.DataFrame) -> pd.DataFrame:
    """One row per condition with `condition`, `accuracy`, `macs_ratio`, and the time ratio for each batch size."""
    fields = ["family", "hop_ms", "frame_reducer"]
    rows = found.pivot(index=[*fields, "accuracy", "macs_ratio"], columns="batch", values="ms_ratio").reset_index()
    rows["condition"] = [name(hop, reducer) for hop, reducer in zip(rows["hop_ms"], rows["frame_reducer"], strict=True)]
    rank = rows["family"].map(FAMILIES.index)
    return rows.assign(rank=rank).sort_values(["rank", "macs_ratio"], ignore_index=True)


def text(found: pd.DataFrame) -> str:
    """`figure` in sentences."""
    lines = [
        f"{row['condition']} ({row['accuracy']:.1f} %) {row['macs_ratio']:.2f}, {row[16]:.2f} and {row[1]:.2f}"
        for row in _wide(found).to_dict("records")
    ]
    return (
        "The cost of each condition as a share of that of all frames of 10 ms (test accuracy on ESC-10 in brackets): "
        f"multiply-accumulates, time in batches of 16 clips and time for one clip: {'; '.join(lines)}."
    )

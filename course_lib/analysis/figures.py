"""Figures of published rows, for study/RESULTS.md and notebooks, each with a text for people who cannot see it.

`FIGURES` lists the figures in study/RESULTS.md. Each file carries its text and a hash of the rows it was drawn from.
`write` redraws a figure once the published rows have changed, and a test fails until it has been redrawn. To change how
a figure is drawn, remove its file and call `write`.
"""

import hashlib
import io
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from course_lib import paths, plots
from course_lib.analysis import (
    beginnings,
    budget,
    claims,
    disturbance,
    frontier,
    localisation,
    pareto,
    per_class,
    questions,
)
from course_lib.analysis.findings import joined
from course_lib.analysis.verdicts import level_text, signed
from course_lib.audio import timing_probe
from course_lib.audio.features import FeatureSpec, log_mel
from course_lib.paths import atomic_write
from course_lib.study import records, stats

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DPI = 110
SUBSETS = ("visual", "spectral", "auditory", "spectral+visual", "auditory+visual", "spectral+auditory",
           "spectral+auditory+visual")  # fmt: skip


def _accuracy_by_hop(summary: pd.DataFrame) -> str:
    rows = summary.sort_values("features.hop_ms")[["features.hop_ms", "accuracy"]].to_numpy()
    return ", ".join(f"{100 * share:.1f} % at {hop:g} ms" for hop, share in rows)


def hop_sweeps(folder: Path) -> dict[str, pd.DataFrame]:
    """Summaries of the hop sweeps that are published below `folder`, each in order of the hop, by window and steps."""
    found = {}
    if (folder / "lesson" / records.SUMMARY).is_file():
        parts = dict(tuple(pd.read_csv(folder / "lesson" / records.SUMMARY).groupby("part")))
        found |= {"window 25 ms, 240 steps": parts["hop"], "window 2.5 hops, 240 steps": parts["overlap"]}
    if (folder / "diffres" / records.SUMMARY).is_file():
        rows = pd.read_csv(folder / "diffres" / records.SUMMARY)
        rows = rows[(rows["frame_reducer"] == "none") & rows["part"].str.startswith("patience")]
        found["window 25 ms, 800 steps"] = rows.drop_duplicates("features.hop_ms")
    return {label: rows.sort_values("features.hop_ms") for label, rows in found.items()}


def sweeps_figure(sweeps: Mapping[str, pd.DataFrame]) -> "Figure":
    """Test accuracy with its interval against the hop, a line for each of `hop_sweeps`."""
    hops = sorted({hop for rows in sweeps.values() for hop in rows["features.hop_ms"]})
    with plt.rc_context(plots.STYLE):
        fig, ax = plt.subplots(figsize=(8, 4))
        for k, (label, rows) in enumerate(sweeps.items()):
            middle, low, high = 100 * rows[["accuracy", "low", "high"]].to_numpy().T
            at = rows["features.hop_ms"] * 1.04 ** (k - 1)  # beside each other, not on top
            ax.errorbar(at, middle, yerr=[middle - low, high - middle], marker=plots.MARKERS[k], capsize=3, label=label)
        ax.set_xscale("log", base=2)
        ax.set_xticks(hops, [f"{hop:g}" for hop in hops])
        ax.set(xlabel="hop (ms)", ylabel="test accuracy (%)")
        ax.legend(loc="lower left")
    return fig


def sweeps_text(sweeps: Mapping[str, pd.DataFrame]) -> str:
    """`sweeps_figure` in sentences."""
    lines = [f"{label}: {_accuracy_by_hop(rows)}" for label, rows in sweeps.items()]
    return f"Test accuracy against the hop, {len(sweeps)} lines. {'; '.join(lines)}."


def every_sweep() -> dict[str, pd.DataFrame]:
    """Published hop sweeps, a table per panel, by data set and number of steps: the larger sets, then the others.

    The window is 25 ms on ESC-10 and digits. On the timing probe and the larger sets it is 2.5 hops, so that every
    sample lies in a window (2 hops at a hop of 2.5 ms).
    """
    found = long_sweeps()
    for title, grids, fields in (
        ("ESC-10, 240 steps", ["lesson"], {"recipe.steps": 240, "features.window_ms": 25.0}),
        ("ESC-10, 800 steps", ["diffres"], {"dataset": "esc10", "recipe.steps": 800, "frame_reducer": "none"}),
        ("spoken digits, 2,000 steps", ["diffres"], {"dataset": "fsdd", "frame_reducer": "none"}),
        ("timing probe, 2,400 steps", ["failures", "budget"], {"dataset": "timing", "frame_reducer": "none"}),
    ):
        rows = pd.concat([questions.chosen(questions.published(grid), fields) for grid in grids])
        if len(rows):
            found[title] = _by_hop(rows)
    return found


LONG_SWEEPS = {"ESC-50": "esc50", "ten spoken words": "words"}  # grids with windows of 2.5 hops, by title


def long_sweeps() -> dict[str, pd.DataFrame]:
    """Hop sweeps of the larger sets, a table for each that is published, as in `every_sweep`; windows of 2.5 hops."""
    found = {}
    for title, grid in LONG_SWEEPS.items():
        rows = questions.published(grid)
        if rows.empty:
            continue
        rows = questions.chosen(rows, {"frame_reducer": "none", "copies": "none", "recipe.image_augment": False})
        rows = rows[np.isclose(rows["features.window_ms"], 2.5 * rows["features.hop_ms"]) & (rows["recipe.guide"] == 0)]
        runs = rows.groupby("features.hop_ms")["fold"].transform("size")
        rows = rows[runs >= disturbance.N_RUNS]  # others are not finished, and cover only some of the folds
        if rows["features.hop_ms"].nunique() > 1:
            n_steps = int(rows["recipe.steps"].iloc[0])
            found[f"{title}, {n_steps:,} steps"] = _by_hop(rows)
    return found


def _by_hop(rows: pd.DataFrame) -> pd.DataFrame:
    """Accuracy in % with its interval by source: `hop_ms`, `mean`, `low`, `high`."""
    made = [(hop_ms, stats.accuracy(of_hop)) for hop_ms, of_hop in rows.groupby("features.hop_ms")]
    points = [(hop_ms, 100 * got.mean, 100 * got.low, 100 * got.high) for hop_ms, got in made]
    return pd.DataFrame(points, columns=["hop_ms", "mean", "low", "high"])


def hops_figure(sweeps: Mapping[str, pd.DataFrame]) -> "Figure":
    """Test accuracy with its interval by source against the hop, a panel for each of `every_sweep`.

    Up to four panels stand in one row, more in rows of three.
    """
    across = 3 if len(sweeps) > 4 else len(sweeps)
    down = -(-len(sweeps) // across)
    with plt.rc_context(plots.STYLE):
        fig, axes = plt.subplots(down, across, figsize=(3.2 * across, 3.6 * down), sharey=True, squeeze=False)
        for ax in axes.flat[len(sweeps) :]:
            ax.remove()
        for ax, (title, rows) in zip(axes.flat, sweeps.items(), strict=False):
            ax.set_xscale("log", base=2)
            ax.fill_between(rows["hop_ms"], rows["low"], rows["high"], color=plots.COLOURS[0], alpha=0.2, linewidth=0)
            ax.plot(rows["hop_ms"], rows["mean"], "o-", color=plots.COLOURS[0])
            ax.set_xticks(rows["hop_ms"], [f"{hop:g}" for hop in rows["hop_ms"]])
            ax.minorticks_off()
            ax.set_title(title, loc="left", fontsize=12)
            ax.set_xlabel("hop (ms)")
        for ax in axes[:, 0]:
            ax.set_ylabel("test accuracy (%)")
    return fig


def hops_text(sweeps: Mapping[str, pd.DataFrame]) -> str:
    """`hops_figure` in sentences."""
    panels = []
    for title, rows in sweeps.items():
        panels.append(f"{title}: {_levels_at(rows)}")
    return f"Test accuracy against the hop, {len(sweeps)} panels with bands for the interval. {'; '.join(panels)}."


def _levels_at(rows: pd.DataFrame) -> str:
    """A sweep in words, such as `87.3 and 87.8 % at 20 and 40 ms`."""
    levels, hops = [f"{level:.1f}" for level in rows["mean"]], [f"{hop_ms:g}" for hop_ms in rows["hop_ms"]]
    return f"{joined(levels)} % at {joined(hops)} ms"


FRONT = {"ESC-10, 800 steps": "everyday sounds (ESC-10)", "ten spoken words, 4,000 steps": "spoken words",
         "timing probe, 2,400 steps": "timing probe"}  # fmt: skip
FRONT_HOPS_MS = (2.5, 20.0)


def two_hops() -> dict[float, tuple[np.ndarray, np.ndarray]]:
    """Log-mel of one clip of the timing probe at each of `FRONT_HOPS_MS`: times in ms and levels `(frames, mels)`.

    The clip is two clicks with a silence of 10 ms between them; 120 ms around them are kept.
    """
    table = timing_probe.timing_table(1, tasks=["gap"]).query("label == 'gap_10ms'")
    wave, onset_s = timing_probe.timing_waves(table)[0], timing_probe.timing_events(table)["onset_s"].min()
    found = {}
    for hop_ms in FRONT_HOPS_MS:
        spec = FeatureSpec(rate_hz=timing_probe.RATE_HZ, hop_ms=hop_ms, window_ms=2 * hop_ms, n_mels=24, fmin_hz=200.0)
        levels = log_mel(wave, spec)
        times_ms = 1000 * (spec.frame_centres_s(len(levels)) - onset_s)
        near = (times_ms > -50) & (times_ms < 70)
        found[hop_ms] = times_ms[near], levels[near]
    return found


def front_figure(sweeps: Mapping[str, pd.DataFrame], clip: Mapping[float, tuple[np.ndarray, np.ndarray]]) -> "Figure":
    """Accuracy against the hop for recordings and for the timing probe, and one clip of the probe at two hops."""
    with plt.rc_context(plots.STYLE):
        fig = plt.figure(figsize=(10, 3.4))
        left, *right = fig.subplots(1, 1 + len(clip), width_ratios=[1.7] + [1] * len(clip))
        for k, (title, label) in enumerate(FRONT.items()):
            rows, colour = sweeps[title], plots.COLOURS[k]
            left.fill_between(rows["hop_ms"], rows["low"], rows["high"], color=colour, alpha=0.2, linewidth=0)
            left.plot(
                rows["hop_ms"], rows["mean"], plots.MARKERS[k], linestyle=plots.LINES[k], color=colour, label=label
            )
        hops = (2.5, 5, 10, 20, 40)
        left.set_xscale("log", base=2)
        left.set_xticks(hops, [f"{hop:g}" for hop in hops])
        left.minorticks_off()
        left.set(xlabel="hop (ms)", ylabel="test accuracy (%)", ylim=(50, 101))
        left.legend(loc="lower left")
        for ax, (hop_ms, (times_ms, levels)) in zip(right, clip.items(), strict=True):
            top = levels.max()
            ax.pcolormesh(times_ms, np.arange(levels.shape[1]), levels.T, shading="nearest", vmin=top - 40, vmax=top)
            ax.set(xlabel="time (ms)", xlim=(-40, 60), yticks=[])
            ax.set_title(f"hop {hop_ms:g} ms", fontsize=12)
        right[0].set_ylabel("mel bands")
    return fig


def front_text(sweeps: Mapping[str, pd.DataFrame], clip: Mapping[float, tuple[np.ndarray, np.ndarray]]) -> str:
    """`front_figure` in sentences."""
    lines = []
    for title, label in FRONT.items():
        ends = [f"{row.mean:.1f} % at {row.hop_ms:g} ms" for row in sweeps[title].iloc[[0, -1]].itertuples()]
        lines.append(f"{label} {' and '.join(ends)}")
    hops = " and ".join(f"{hop_ms:g} ms" for hop_ms in clip)
    return (
        f"Left, test accuracy against the hop: {'; '.join(lines)}. "
        f"Right, two clicks with 10 ms of silence between them at hops of {hops}: two stripes at the first, one block "
        "at the second."
    )


WIDTHS = {
    "DiffRes better than equal widths": "equal widths",
    "DiffRes better than random widths": "random widths",
    "DiffRes better than widths by energy": "widths by energy",
    "DiffRes better than average pooling": "average pooling",
    "DiffRes better than its own widths, shuffled": "its own widths, shuffled",
    "DiffRes, half the frames, no worse than 10 ms": "all frames of 10 ms",
    "DiffRes, half the frames, better than a hop of 20 ms": "all frames of 20 ms",
}


def widths_figure(answers: pd.DataFrame) -> "Figure":
    """DiffRes at half the frames minus its controls on ESC-10, 800 steps, with intervals and corrected intervals."""
    rows = _widths(answers)
    with plt.rc_context(plots.STYLE):
        fig, ax = plt.subplots(figsize=(8, 0.45 * len(rows) + 1.3))
        for place, row in enumerate(100 * rows[["corrected_low", "corrected_high"]].to_numpy()):
            ax.plot(row, [place, place], color="lightgrey", linestyle="-", linewidth=6, solid_capstyle="butt", zorder=0)
        plots.forest(100 * rows[["difference", "low", "high"]].to_numpy(), [WIDTHS[q] for q in rows["question"]], ax,
                     xlabel="DiffRes with half the frames minus ... (points)")  # fmt: skip
    return fig


def _widths(answers: pd.DataFrame) -> pd.DataFrame:
    """The answers about DiffRes at half the frames, at the long budget, in the order of `WIDTHS`."""
    rows = answers[(answers["where"] == questions.LONG) & answers["question"].isin(WIDTHS)]
    return rows.sort_values("question", key=lambda texts: texts.map(list(WIDTHS).index))


def widths_text(answers: pd.DataFrame) -> str:
    """`widths_figure` in a sentence."""
    points = [
        f"{WIDTHS[row['question']]} {signed(questions.points(row))}" for row in _widths(answers).to_dict("records")
    ]
    return (
        "DiffRes with half the frames on ESC-10 minus its controls, in points with 95 % intervals, and wider grey bars "
        f"for folds that share training clips: {'; '.join(points)}."
    )


HOPS_MS = (40, 80, 160, 320)


def localisation_tables() -> tuple[pd.DataFrame, dict[str, float]]:
    """Recognition and localisation of published rows by the hop of the auditory features; and reference levels.

    Columns: `hop_ms`, tagging F1 in % (`tagging`, `tagging_low`, `tagging_high`, over seeds), and event F1 minus that
    of the spectral network in points, on the events that both recognise (`gap`, `gap_low`, `gap_high`).
    """
    rows, found = questions.published("scenes"), []
    usual = questions.usual_fields("tagging")
    for hop_ms in HOPS_MS:
        fields = {"streams": "auditory", "auditory_ms": hop_ms}
        tagging = stats.mean_interval(questions.chosen(rows, usual | fields)["test_tagging_f1"]).scaled(100)
        gap = localisation.localised(fields, {"streams": "spectral"})[0].interval.scaled(100)
        found.append((hop_ms, tagging.mean, tagging.low, tagging.high, gap.mean, gap.low, gap.high))
    spectral = questions.chosen(rows, usual | {"streams": "spectral"})["test_tagging_f1"]
    levels = {"log-mel": 100 * spectral.mean(), "every class": 100 * localisation.published_baselines()["tagging"]}
    columns = ["hop_ms", "tagging", "tagging_low", "tagging_high", "gap", "gap_low", "gap_high"]
    return pd.DataFrame(found, columns=columns), levels


def localisation_figure(by_hop: pd.DataFrame, levels: Mapping[str, float]) -> "Figure":
    """Two panels against the hop of the auditory features: how well they recognise, and how well they localise."""
    with plt.rc_context(plots.STYLE):
        fig, (left, right) = plt.subplots(1, 2, figsize=(10, 3.8))
        for ax, name in ((left, "tagging"), (right, "gap")):
            mean, low, high = (by_hop[name + end] for end in ("", "_low", "_high"))
            ax.set_xscale("log", base=2)
            ax.errorbar(by_hop["hop_ms"], mean, yerr=[mean - low, high - mean], fmt="o-", capsize=3,
                        color=plots.COLOURS[0], label="auditory features")  # fmt: skip
            ax.set_xticks(by_hop["hop_ms"], [f"{hop:g}" for hop in by_hop["hop_ms"]])
            ax.minorticks_off()
            ax.set_xlabel("hop of the auditory features (ms)")
        for (name, level), style in zip(levels.items(), ("--", ":"), strict=True):
            left.axhline(level, color="grey", linestyle=style, label=name)
        left.set(ylabel="tagging F1 (%)", ylim=(30, 95))
        left.set_title("Recognition", loc="left")
        left.legend(loc="center right", bbox_to_anchor=(1, 0.32))
        right.axhline(0, color="grey", linestyle="--")
        right.set_ylabel("event F1 minus log-mel's (points)")
        right.set_title("Localisation, events that both recognise", loc="left")
    return fig


def localisation_text(by_hop: pd.DataFrame, levels: Mapping[str, float]) -> str:
    """`localisation_figure` in sentences."""
    tags = ", ".join(f"{r.tagging:.1f} % at {r.hop_ms} ms" for r in by_hop.itertuples())
    gaps = ", ".join(
        f"{r.gap:+.1f} ({r.gap_low:+.1f} to {r.gap_high:+.1f}) at {r.hop_ms} ms" for r in by_hop.itertuples()
    )
    lines = ", ".join(f"{name} {level:.1f} %" for name, level in levels.items())
    return (
        f"Against the hop of the auditory features. Left, tagging F1: {tags}; lines at {lines}. Right, event F1 minus "
        f"that of the log-mel on events that both recognise, in points with intervals over seeds: {gaps}."
    )


def claims_figure(answers: pd.DataFrame) -> "Figure":
    """Differences with intervals and margins from a table of `questions.answers`, a panel for each place."""
    places = {where: rows for where, rows in answers.groupby("where", sort=False)}
    sizes = [len(rows) for rows in places.values()]
    with plt.rc_context(plots.STYLE):
        fig, axes = plt.subplots(
            len(places), 1, figsize=(11, 0.3 * sum(sizes) + 0.6 * len(places) + 0.8), squeeze=False, height_ratios=sizes
        )  # fmt: skip
        for ax, (where, rows) in zip(axes[:, 0], places.items(), strict=True):
            labels = [f"{row.claim}: {row.question}" if row.claim else row.question for row in rows.itertuples()]
            plots.forest(100 * rows[["difference", "low", "high"]].to_numpy(), labels, ax, xlabel="")
            ax.set_title(where, loc="left")
            for margin in sorted({-100 * margin for margin in rows["margin"] if margin}):
                ax.axvline(margin, color="black", linestyle=":", linewidth=1)
        axes[-1, 0].set_xlabel("difference in test accuracy (points)")
    return fig


def claims_text(answers: pd.DataFrame) -> str:
    """`claims_figure` in sentences, without its numbers: they stand in tables wherever it is shown."""
    panels = []
    for where, rows in answers.groupby("where", sort=False):
        apart = (rows["low"] > 0) | (rows["high"] < 0)
        panels.append(f"{where}, {apart.sum()} of {len(rows)} intervals exclude 0")
    return (
        "Differences in test accuracy in points with 95 % intervals, one line per question, in panels: "
        f"{'; '.join(panels)}. A dotted line marks a margin. The tables below have the numbers."
    )


def scene_rows() -> pd.DataFrame:
    """Rows of the grid `scenes` that did not fail: the published ones, else those of a run here, else none."""
    for folder in (paths.published_dir() / "scenes", paths.runs_dir() / "study" / "scenes"):
        if (folder / records.ROWS).is_file() or (folder / "records").is_dir():
            return records.done(records.gather(folder))
    return pd.DataFrame()


def usual_scenes(table: pd.DataFrame, *free: str) -> pd.DataFrame:
    """Rows of a whole grid that have the most frequent value of every field except `free`, fold and seed."""
    fields = stats.condition_fields(table) if len(table) else []
    return questions.chosen(table, {name: table[name].mode()[0] for name in fields if name not in free})


def scenes_subsets_figure(table: pd.DataFrame, pairs: pd.DataFrame, paper: Mapping[str, float]) -> "Figure":
    """Tagging F1 of every subset of the streams with its interval over seeds, and differences paired by seed.

    Takes the rows of a grid on scenes, rows of `questions.answers`, and the paper's F1 in % by streams. Crosses are the
    paper's numbers, from other data and another network.
    """
    known = _subsets(table)
    with plt.rc_context(plots.STYLE):
        height = 0.36 * max(len(known), len(pairs)) + 1.4
        fig, (left, right) = plt.subplots(1, 2, figsize=(13, height), width_ratios=(1, 1))
        for place, (mean, low, high) in enumerate(100 * known[["tagging", "tagging_low", "tagging_high"]].to_numpy()):
            left.errorbar(mean, place, xerr=[[mean - low], [high - mean]], fmt="o", capsize=3, color=plots.COLOURS[0])
        crosses = {"color": "black", "markersize": 8, "linestyle": "none", "marker": "x", "zorder": 3}
        theirs = [paper.get(name, math.nan) for name in known["streams"]]
        left.plot(theirs, range(len(known)), label="the paper, other data", **crosses)
        left.set_yticks(range(len(known)), known["streams"])
        left.set(xlabel="tagging micro F1 (%)", ylim=(len(known) - 0.5, -0.5))
        gaps = 100 * pairs[["difference", "low", "high"]].to_numpy()
        plots.forest(gaps, pairs["question"].tolist(), right, xlabel="difference (points)")
        right.plot(pairs["paper"].astype(float), range(len(pairs)), **crosses)
        fig.legend(*left.get_legend_handles_labels(), loc="outside lower center")
    return fig


def scenes_subsets_text(table: pd.DataFrame, pairs: pd.DataFrame, paper: Mapping[str, float]) -> str:
    """`scenes_subsets_figure` in sentences."""
    points = [
        f"{row.streams} {level_text(100 * row.tagging, 100 * row.tagging_low, 100 * row.tagging_high)}"
        for row in _subsets(table).itertuples()
    ]
    papers = [f"{streams} {value:.1f}" for streams, value in paper.items()]
    gaps = [f"{row['question']} {signed(questions.points(row))}" for row in pairs.to_dict("records")]
    return (
        f"Left, tagging F1 in % by network input, with 95 % intervals over seeds: {', '.join(points)}; "
        f"crosses are the paper's: {', '.join(papers)}. Right, differences in points, paired by seed: "
        f"{', '.join(gaps)}."
    )


def _subsets(table: pd.DataFrame) -> pd.DataFrame:
    """`stats.summarise` by subset of the streams, in the order of `SUBSETS`."""
    found = stats.summarise(usual_scenes(table, "streams"), ["streams"])
    return found.sort_values("streams", key=lambda names: names.map(SUBSETS.index), ignore_index=True)


def lanes(heard: pd.DataFrame, seen: pd.DataFrame, clip_s: float, ax: "Axes") -> "Axes":
    """Two event lists of one scene as bars, a lane for each class: solid while heard, hatched while in view."""
    order = sorted(set(heard["event_label"]) | set(seen["event_label"]))
    hatched = {"facecolor": "white", "hatch": "///", "edgecolor": "grey"}
    for table, low, style in ((heard, 0.0, {"facecolor": plots.COLOURS[0]}), (seen, -0.4, hatched)):
        for event in table.itertuples():
            lane = order.index(event.event_label) + low
            ax.broken_barh([(event.onset, event.offset - event.onset)], (lane, 0.4), **style)
    ax.set_yticks(range(len(order)), [name.replace("_", " ") for name in order])
    ax.set(xlim=(0, clip_s), ylim=(-0.6, len(order) - 0.4))
    return ax


# --- The figures of study/RESULTS.md, as files


@dataclass(frozen=True)
class Published:
    """A figure of study/RESULTS.md: its file below the published results, the grids behind it, and how to draw it."""

    name: str
    grids: tuple[str, ...]
    tables: Callable[[], tuple]
    text: Callable[..., str]
    figure: Callable[..., "Figure"]
    files: tuple[str, ...] = ()  # other files of the repository that it is drawn from
    caption: str = ""  # what its marks mean, shown below it

    @property
    def path(self) -> Path:
        """Its file."""
        return paths.published_dir() / self.name

    @property
    def source(self) -> str:
        """A hash of the published files of its grids and of `files`, empty if no grid is published."""
        found = [paths.published_dir() / grid / name for grid in self.grids for name in (records.ROWS, records.SUMMARY)]
        contents = [path.read_bytes() for path in found if path.is_file()]
        if contents:
            files = [paths.repo_root() / name for name in self.files]
            contents += [path.read_bytes() for path in files if path.is_file()]
        return hashlib.sha256(b"".join(contents)).hexdigest() if contents else ""

    @property
    def metadata(self) -> dict[str, str]:
        """What its file says about itself: the `source` that it was drawn from and its text."""
        from PIL import Image

        if not self.path.is_file():
            return {}
        with Image.open(self.path) as image:
            return getattr(image, "text", {})

    @property
    def markdown(self) -> str:
        """Markdown that shows it above its caption, for a page in the folder `study`."""
        below = f"\n\n*{self.caption}*" if self.caption else ""
        return f"![{self.text(*self.tables())}](results/{self.name}){below}"


def _tagging() -> tuple[pd.DataFrame, pd.DataFrame, Mapping[str, float]]:
    """Published rows on scenes that differ only in their streams, their answers about tagging, the paper's scores."""
    rows = usual_scenes(questions.published("scenes"), "streams")
    answers = questions.answers("scenes", rows)
    return rows, answers[answers["where"] == "tagging"], questions.paper_scores("tagging")


HOP_GRIDS = ("words", "esc50", "lesson", "diffres", "failures", "budget")  # of `every_sweep`
FIGURES = {
    figure.name: figure
    for figure in (
        Published("front.png", HOP_GRIDS, lambda: (every_sweep(), two_hops()), front_text, front_figure),
        Published("hops.png", HOP_GRIDS, lambda: (every_sweep(),), hops_text, hops_figure,
                  caption="Bands: intervals of the accuracy, by source."),
        Published("widths.png", ("diffres",), lambda: (questions.answers(),), widths_text, widths_figure,
                  caption="Bars: intervals of the difference. Grey: wider ones, for folds that share training clips."),
        Published("frontier.png", ("diffres",), lambda: (frontier.table(),), frontier.text, frontier.figure,
                  ("bench/results/frontier.json",), "Dashed: all frames of 10 ms. In brackets: accuracy on ESC-10."),
        Published("budget.png", budget.GRIDS, lambda: (budget.curve(),), budget.text, budget.figure,
                  caption="Open marks: some runs reach 95 % and others do not. Dotted: guessing within the right pair. "
                  "Bars: intervals, by source."),
        Published("systems.png", pareto.GRIDS, lambda: (pareto.table(),), pareto.systems_text, pareto.systems_figure),
        Published("localisation.png", ("scenes",), localisation_tables, localisation_text, localisation_figure,
                  caption="Intervals over seeds, on one fold of scenes. Every class: a constant answer that names all "
                  "classes."),
        Published("lesson/classes.png", ("lesson",), lambda: (per_class.against(claims.sweep(claims.Evidence())),),
                  per_class.classes_text, per_class.classes_figure),
        Published("diffres/claims.png", ("diffres",), lambda: (questions.answers(),), claims_text, claims_figure,
                  ("study/questions.toml",), "Filled squares: the interval excludes zero. Dotted: the margin."),
        Published("disturbance.png", tuple(disturbance.GRIDS), lambda: (disturbance.tables(),), disturbance.text,
                  disturbance.figure),
        Published("beginnings.png", (beginnings.GRID,), lambda: (beginnings.table(),), beginnings.text,
                  beginnings.figure),
        Published("scenes/tagging.png", ("scenes",), _tagging, scenes_subsets_text, scenes_subsets_figure,
                  caption="Crosses: the paper. Filled squares: the interval excludes zero."),
    )
}  # fmt: skip


def stale() -> list[Published]:
    """Figures that are missing, drawn from other rows, or described in other words, if the rows are enough for them."""
    found = []
    for figure in FIGURES.values():
        if not figure.source:
            continue
        tables, written = figure.tables(), figure.metadata
        if not all(len(table) for table in tables):
            continue
        if written.get("Source") != figure.source or written.get("Description") != figure.text(*tables):
            found.append(figure)
    return found


def write() -> list[Path]:
    """Paths of the figures that were `stale`, after redrawing them."""
    written = []
    for one in stale():
        tables = one.tables()
        figure, content = one.figure(*tables), io.BytesIO()
        metadata = {"Description": one.text(*tables), "Source": one.source}
        figure.savefig(content, format="png", dpi=DPI, metadata=metadata)
        plt.close(figure)
        atomic_write(one.path, content.getvalue())
        written.append(one.path)
    return written

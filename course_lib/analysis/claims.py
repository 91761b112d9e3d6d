"""The claims of the four papers, judged by published rows. They are listed in `study/claims.toml`; see `verdicts`.

A claim has parts, each with an interval and a margin, and a verdict for each data set. Most parts are a question from
`study/questions.toml`; parts that need more than one question are computed by the functions at the end of this file.
Notebook: 13.
"""

import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from functools import cache, cached_property
from itertools import pairwise

import numpy as np
import pandas as pd

from course_lib.analysis import localisation, per_class, probe, questions, verdicts
from course_lib.analysis.questions import ALL_STREAMS, DATA, chosen
from course_lib.analysis.verdicts import (
    BY_CONSTRUCTION,
    NOT_RUN,
    NOT_SHOWN,
    NOT_TESTABLE,
    UNCONVERGED,
    Part,
    level_text,
    overall,
    signed,
)
from course_lib.checked import checked, nearest
from course_lib.errors import CourseError
from course_lib.evaluation.intervals import Interval
from course_lib.evaluation.separability import RANGES
from course_lib.paths import published_dir, study_dir
from course_lib.study import scene_run, stats
from course_lib.study.grid import read_toml
from course_lib.training import cost

HALF = "DiffRes, half the frames, no worse than 10 ms"
MEASURES = {
    "silhouette": "silhouette", "davies_bouldin": "Davies-Bouldin index, sign reversed", "purity": "purity",
    "nmi": "normalised mutual information",
}  # fmt: skip
CHANCE = 0.1  # accuracy of guessing one of ten classes of equal size
MVITV2_B = (2, 3, 16, 3)  # depths of the stages of MViTv2-B: Li et al., CVPR 2022, arXiv 2112.01526, table 1
SEPARABILITY = "09_spectrogram_transformers-study-synth10.json"
LEAKAGE = {  # published runs of notebook 04
    "esc10": "04_folds_and_leakage-study-esc10.json",
    "esc50": "04_folds_and_leakage-study-esc50.json",
}
DATA_OF = {"scratch": DATA["esc10"], "transfer": DATA["esc10"]}  # grids about one data set
BY_DESIGN = ("", BY_CONSTRUCTION, NOT_TESTABLE, NOT_SHOWN)  # verdicts that claims.toml may set
COLUMNS = ("id", "claim", "paper", "data", "ours", "design", "control", "verdict", "reason")


class NotRun(Exception):
    """The rows that a claim needs have not been run, or not been published."""


class Evidence:
    """The answers of the published rows to every question; `published` returns the rows of a grid by its name."""

    def __init__(self, published: Callable[[str], pd.DataFrame] = questions.published) -> None:
        self.rows = published
        self._of_grid: dict[str, pd.DataFrame] = {}

    @cached_property
    def answers(self) -> pd.DataFrame:
        """`questions.answers` of all grids, with a column `grid`."""
        found = [self.answers_of(grid) for grid in dict.fromkeys(question.grid for question in questions.questions())]
        return pd.concat([table for table in found if len(table)] or found[:1], ignore_index=True)

    def answers_of(self, grid: str) -> pd.DataFrame:
        """`questions.answers` of one grid, with a column `grid`; it takes seconds, so each grid is computed once."""
        if grid not in self._of_grid:
            rows = None if self.rows is questions.published else self.rows(grid)  # None: computed once per process
            self._of_grid[grid] = questions.answers(grid, rows).assign(grid=grid)
        return self._of_grid[grid]

    def run(self, grid: str, fields: str | Mapping[str, object]) -> pd.DataFrame:
        """The rows of one condition of a grid (see `questions.chosen`). Raises `NotRun` if there are none."""
        rows = chosen(self.rows(grid), fields)
        if rows.empty:
            raise NotRun(grid)
        return rows

    def part(
        self, question: str, where: str, about: str = "", *, turned: bool = False, margin: float = 0, macs: bool = False
    ) -> Part:
        """The part for one question at one place of `questions.toml`, under the name `about`.

        `turned` reverses the question, with its own `margin` (a share); `macs` adds to the name what the first
        condition costs.

        Raises
        ------
        CourseError
            There is no such question, or a `margin` is given for a question that has its own.
        """
        if margin and not turned:
            raise CourseError(f"claims.toml: {question!r} has its margin in questions.toml; leave out margin")
        asked = [q for q in questions.questions() if q.text == question and q.where == where]
        if not asked:
            raise CourseError(f"claims.toml: questions.toml has no question {question!r} about {where!r}")
        about, data = about or f"{question} ({where})", questions.data_of(where)
        answers = self.answers_of(asked[0].grid)
        rows = answers[(answers["question"] == question) & (answers["where"] == where)]
        if rows.empty:
            return Part(about, data, None)
        row = rows.iloc[0]
        found = questions.difference_of(row)
        design = f"{row['pairs']} folds x {row['seeds']}" if row["paired_by"] == "fold" else f"1 fold x {row['pairs']}"
        if row["mixed"]:
            design += f", {row['mixed']} pairs on two kinds of machine"
        if macs:
            about += f", {row['macs']:.2f} of the MACs"
        if turned:
            found = found.reversed()
        margin = margin if turned else row["margin"]
        return Part(about, data, found, margin, design=design, converged=row["verdict"] != UNCONVERGED)


def evidence_from(*grids: str) -> Evidence:
    """The evidence of these grids only, which is quicker if only a few claims are needed."""

    def published(grid: str) -> pd.DataFrame:
        rows = questions.published(grid)
        return rows if grid in grids else rows.iloc[:0]

    return Evidence(published)


@checked
class Claim:
    """A claim of a paper, as `study/claims.toml` states it.

    Attributes
    ----------
    id, says, paper : its number, the claim in short, and the paper's own figure.
    why : what to know about the design, true whatever the verdict.
    parts, control : what decides the verdict, and what is shown beside it.
    verdict : a verdict that the design determines, whatever the rows say; otherwise empty.
    """

    id: str
    says: str
    why: str
    paper: str = ""
    parts: Sequence[Mapping] = ()
    control: Sequence[Mapping] = ()
    verdict: str = ""


@cache
def claims() -> tuple[Claim, ...]:
    """Every claim, in the order of the papers.

    Raises
    ------
    CourseError
        `study/claims.toml` cannot be read, or a claim lacks a key or has an unknown key or verdict.
    """
    found = []
    for given in read_toml(study_dir() / "claims.toml")["claim"]:
        try:
            found.append(Claim(**given))
        except ValueError as error:
            raise CourseError(f"claims.toml: claim {given.get('id')!r}: {error}") from None
        if found[-1].verdict not in BY_DESIGN:
            allowed = " or ".join(BY_DESIGN[1:])
            raise CourseError(f"claims.toml: claim {given['id']!r}: verdict {given['verdict']!r}, expected {allowed}")
    return tuple(found)


def found_by(entry: Mapping, evidence: Evidence) -> list[Part | str]:
    """The parts, or the text, of one entry of a claim: a question, or a function with the other keys as arguments.

    Raises
    ------
    CourseError
        There is no such question or function, or the keys do not fit it.
    """
    options = dict(entry)
    name = options.pop("compute", "part")
    if name not in COMPUTED:
        raise CourseError(f"claims.toml: compute = {name!r}: no such function; {nearest(name, COMPUTED)}")
    try:
        inspect.signature(COMPUTED[name]).bind(evidence, **options)
    except TypeError as error:
        raise CourseError(f"claims.toml: {dict(entry)}: {error}") from None
    try:
        found = COMPUTED[name](evidence, **options)
    except NotRun as missing:
        about = " ".join([name.replace("_", " "), *map(str, options.values())])
        found = Part(about, DATA_OF.get(missing.args[0], ""), None)
    return found if isinstance(found, list) else [found]


def parts_of(claim: Claim, evidence: Evidence) -> list[Part | str]:
    """What decides a claim, in order: parts, with p values corrected for their number, and texts."""
    found = [each for entry in claim.parts for each in found_by(entry, evidence)]
    judged = iter(verdicts.corrected([part for part in found if isinstance(part, Part)]))
    return [next(judged) if isinstance(each, Part) else each for each in found]


def control_of(claim: Claim, evidence: Evidence) -> str:
    """What is shown beside a claim: the differences of other questions, and texts that the functions return."""
    texts = []
    for entry in claim.control:
        for found in found_by(entry, evidence):
            if isinstance(found, str):
                texts.append(found)
            elif found.found is not None:
                texts.append(found.text)
    return "; ".join(texts)


def judged(claim: Claim, evidence: Evidence) -> list[dict[str, str]]:
    """The rows of a claim in the table, one for each data set that its parts are about, or one if there is none."""
    found = parts_of(claim, evidence)
    texts = [each for each in found if isinstance(each, str)]
    parts = [each for each in found if isinstance(each, Part)]
    run = [part for part in parts if part.found is not None]
    row = {
        "id": claim.id, "claim": claim.says, "paper": claim.paper, "data": "", "ours": "; ".join(texts), "design": "",
        "control": control_of(claim, evidence), "verdict": claim.verdict or NOT_RUN, "reason": claim.why,
    }  # fmt: skip
    if not run:
        return [row | ({"verdict": NOT_RUN} if claim.verdict == NOT_SHOWN else {})]
    rows = []
    for data in dict.fromkeys(part.data for part in parts):
        mine = [part for part in parts if part.data == data]
        missing = sum(part.found is None for part in mine)
        by_design = "" if claim.verdict == NOT_SHOWN and missing == len(mine) else claim.verdict
        shown = [part.text for part in mine if part.found is not None] + ([f"{missing} not run"] if missing else [])
        rows.append(row | {
            "data": data, "ours": "; ".join([*texts, *shown]),
            "design": ", ".join(dict.fromkeys(part.design for part in mine if part.design)),
            "verdict": by_design or overall([part.verdict for part in mine]),
        })  # fmt: skip
    return rows


def table(evidence: Evidence) -> pd.DataFrame:
    """`judged` of all claims: one row for each claim and data set."""
    rows = [row for claim in claims() for row in judged(claim, evidence)]
    return pd.DataFrame(rows, columns=list(COLUMNS))


# --- Parts that need more than one question. Each function takes the evidence and returns parts, or a text for a
# --- control; if rows are missing it raises `NotRun`


def folds_and_seeds(rows: pd.DataFrame) -> str:
    """How many folds and seeds rows on clips have."""
    return f"{rows['fold'].nunique()} folds x {rows['seed'].nunique()}"


def difference(
    first: pd.DataFrame, second: pd.DataFrame, score: str = "test_accuracy", design: pd.DataFrame | None = None
) -> stats.Difference:
    """`stats.difference`; raises `NotRun` if there are fewer than two pairs."""
    found = stats.difference(first, second, score=score, design=design)
    if found is None:
        raise NotRun(score)
    return found


def sweep(evidence: Evidence) -> pd.DataFrame:
    """Rows of the hop sweep with a window of 25 ms and 240 steps, without hops that have fewer seeds than others."""
    rows = evidence.run("lesson", {"recipe.steps": 240, "features.window_ms": 25.0})
    seeds = rows.groupby("features.hop_ms")["seed"].transform("nunique")
    return rows[seeds == seeds.max()].reset_index(drop=True)


def short_training(evidence: Evidence) -> str:
    """A1: 10 ms over 80 ms at 240 steps, with a window of 25 ms at every hop."""
    rows = sweep(evidence)
    usual, longest = (chosen(rows, {"features.hop_ms": hop_ms}) for hop_ms in (10.0, 80.0))
    gap = difference(usual, longest, design=rows).interval.scaled(100)
    return f"10 ms over 80 ms after 240 steps: {signed(gap)}"


def wide_windows(evidence: Evidence) -> str:
    """A1: the same with windows of 2.5 hops, one seed."""
    rows = evidence.run("lesson", {"recipe.steps": 240})
    usual = chosen(rows, {"features.hop_ms": 10.0, "features.window_ms": 25.0})
    longest = chosen(rows, {"features.hop_ms": 80.0, "features.window_ms": 200.0})
    gap = difference(usual, longest, design=rows).interval.scaled(100)
    return f"with windows of 2.5 hops {signed(gap)}"


def own_hops(evidence: Evidence) -> str:
    """A1: is one hop for all classes worse than a hop for each class, chosen on other folds?"""
    rows = evidence.run("diffres", {"dataset": "esc10", "recipe.steps": 800, "frame_reducer": "none"})
    gain = per_class.own_hop(rows)[0].scaled(100)
    return f"a separate hop for each class, chosen on other folds, over one hop for all, 800 steps: F1 {signed(gain)}"


def best_of_three(evidence: Evidence, reducer: str) -> str:
    """A2 and A3: the best of three seeds by validation on the timing probe, over another condition; post hoc."""
    rows = evidence.run("diffres", {"dataset": "timing", "features.hop_ms": 2.5})
    first, second = (chosen(rows, {"frame_reducer": name}) for name in ("diffres-light:0.75", reducer))
    best = [probe.best_of_seeds(side).set_index("fold")["test_accuracy"] for side in (first, second)]
    gap = stats.of_values((best[0] - best[1]).to_numpy()).interval.scaled(100)
    return f"timing probe, best of three seeds, over {probe.name(reducer, 2.5)}: {signed(gap)}"


@cache
def base_networks(frames: int, n_classes: int, depths: tuple[int, ...] = ()) -> dict[str, dict]:
    """Costs of AST and MAST of base size: `macs` and `parameters` (millions), and MAST's `grids` and `widths`.

    `depths` are those of MAST's stages; by default, those of our reconstruction.
    """
    import torch

    from course_lib.models import transformers

    with torch.device("meta"):  # shapes only, nothing is computed
        nets = {
            "AST": transformers.ast_base(frames, 128, n_classes),
            "MAST": transformers.mast_base(frames, 128, n_classes, **({"depths": depths} if depths else {})),
        }
    seen: list[tuple[tuple[int, int], int]] = []
    for stage in nets["MAST"].v.stages:
        stage["blocks"][-1].register_forward_hook(lambda module, given, out: seen.append((out[1], out[0].shape[2])))
    found = {
        name: {"macs": cost.macs(net, frames, 128) / 1e6, "parameters": cost.parameters(net) / 1e6}
        for name, net in nets.items()
    }
    return found | {"grids": [grid for grid, _ in seen], "widths": [width for _, width in seen]}


def stages(evidence: Evidence) -> str:
    """B1: tokens and widths from stage to stage."""
    both = base_networks(500, 50)  # 5 s of ESC-50 at a hop of 10 ms
    tokens, widths = [rows * columns for rows, columns in both["grids"]], both["widths"]
    falling = all(a > b for a, b in pairwise(tokens)) and all(a < b for a, b in pairwise(widths))
    shown = f"{', '.join(map(str, tokens))} tokens, {', '.join(map(str, widths))} wide"
    return f"from stage to stage at 5 s: {shown}" + ("" if falling else ", not in that order")


def counted_cost(evidence: Evidence, length: str, frames: int, n_classes: int) -> str:
    """B4: MACs and parameters of both networks of base size."""
    times, percent = _ast_over_mast(base_networks(frames, n_classes))
    return f"at {length} AST needs {times:.1f} times the MACs; MAST has {percent:.1f} % fewer parameters"


def own_depths(evidence: Evidence, length: str, frames: int, n_classes: int) -> str:
    """B4: the same with the depths of MViTv2-B, on which the paper builds."""
    times, percent = _ast_over_mast(base_networks(frames, n_classes, MVITV2_B))
    return f"with the depths of MViTv2-B {times:.1f} times the MACs, {percent:.1f} % fewer parameters at {length}"


def _ast_over_mast(both: Mapping[str, Mapping]) -> tuple[float, float]:
    """How many times MAST's MACs AST needs, and how many per cent fewer parameters MAST has."""
    times = both["AST"]["macs"] / both["MAST"]["macs"]
    return times, 100 * (1 - both["MAST"]["parameters"] / both["AST"]["parameters"])


def measured_cost(evidence: Evidence) -> str:
    """B2 and B4: how much time fewer MACs save, in the small versions of both networks."""
    rows = evidence.run("transformers", {"dataset": "esc10"})
    by_model = rows.groupby("model")[["macs", "latency_ms"]].median()
    small, large = by_model.loc["mast-tiny"], by_model.loc["ast-tiny"]
    return (
        f"small networks, one clip on a CPU: MAST {small['latency_ms']:.1f} ms at {small['macs'] / 1e6:.0f} "
        f"million MACs, AST {large['latency_ms']:.1f} ms at {large['macs'] / 1e6:.0f}"
    )


def still_falling(evidence: Evidence) -> str:
    """B2: how far the validation loss fell between the last two evaluations, as a mean over runs."""
    found = []
    for data, rows in evidence.run("transformers", {"features.hop_ms": 20.0}).groupby("dataset"):
        fallen = rows["history.validation_loss"].map(lambda losses: losses[-2] - losses[-1])
        by_model = fallen.groupby(rows["model"]).mean()
        found.append(f"{DATA[data]} AST {by_model['ast-tiny']:.3f}, MAST {by_model['mast-tiny']:.3f}")
    return f"fall of the validation loss (nats) between the last two evaluations: {'; '.join(found)}"


def recorded(name: str) -> dict[str, float]:
    """What a published run of a notebook recorded, by name. Raises `NotRun` if there is no such run."""
    path = published_dir() / name
    if not path.is_file():
        raise NotRun(name)
    entries = json.loads(path.read_text(encoding="utf-8"))["recorded"]
    return {name: entry["value"] for name, entry in entries.items()}


def separability(evidence: Evidence) -> list[Part]:
    """B5: four measures from a published run of notebook 09, MAST minus AST, assuming independent intervals.

    Both networks are those of the long training on the timing probe.
    """
    value, parts = recorded(SEPARABILITY), []
    for measure in RANGES:
        sign = -1 if measure == "davies_bouldin" else 1  # for which lower is better
        ast, mast = (f"probe_{measure}_{name}_long" for name in ("AST", "MAST"))
        mean = sign * (value[mast] - value[ast])
        reach = float(np.hypot(value[f"{ast}_reach"], value[f"{mast}_reach"]))
        gap = Interval(mean, mean - reach, mean + reach)
        found = stats.Difference(gap, pairs=1, paired_by="seed")
        about = f"MAST minus AST, {MEASURES[measure]}"
        parts.append(Part(about, DATA["timing"], found, scale=1, digits=2, design="1 fold x 1"))
    return parts


def separability_accuracy(evidence: Evidence) -> str:
    """B5: the accuracy of the same two networks."""
    value = recorded(SEPARABILITY)
    levels = ", ".join(f"{name} {value[f'probe_accuracy_{name}_long']:.0f} %" for name in ("AST", "MAST"))
    return f"accuracy of the same networks on their test fold: {levels}"


def level(evidence: Evidence, score: str, streams: str) -> str:
    """C1 to C4: our level of one score of one input, in %."""
    found = questions.levels(evidence.rows("scenes"))
    found = found[(found["score"] == score) & (found["streams"] == streams)]
    return "".join(f"{streams} {level_text(r.mean, r.low, r.high)} on our scenes" for r in found.itertuples())


def constant_baseline(evidence: Evidence, score: str) -> str:
    """C3 to C6: what a constant answer scores, in %."""
    found = localisation.published_baselines()
    if not found:
        raise NotRun("scenes")
    return f"every class in every scene, from start to end: {100 * found[score]:.1f}"


def localised_by(
    evidence: Evidence, first: str, second: str, first_ms: int = 0, margin: float = 0.0, where: str = "event"
) -> Part:
    """C7 and C8: event F1 of `first` minus `second` (streams) on events that both recognise.

    `first_ms` is the hop of the auditory features of `first`, if it is not the usual one; `where` a place of
    `questions.toml`, whose rows answer.
    """
    names = [name.replace(ALL_STREAMS, "all three") for name in (first, second)]
    if first_ms:
        names = [f"{first} every {first_ms} ms", "every 320 ms" if second == first else second]
    worse = ", no worse" if margin else ""
    about = f"events that both recognise, {names[0]} over {names[1]}{worse}"
    sides = [{"streams": first} | ({"auditory_ms": first_ms} if first_ms else {}), {"streams": second}]
    found, table = localisation.localised(*sides, where, evidence.rows)
    if found is None:
        return Part(about, questions.data_of(where), None, margin)
    design = f"{table['fold'].nunique()} folds x {table['seed'].nunique()}"
    if found.paired_by == "seed":
        design = f"1 fold x {found.pairs}"
    settled = questions.all_converged(where, sides, evidence.rows)
    return Part(about, questions.data_of(where), found, margin, design=design, converged=settled)


def offsets_undone(evidence: Evidence) -> str:
    """C8: the questions about hops again, corrected for the offset of each hop."""
    found, offsets = questions.offsets_undone(evidence.rows("scenes"), scene_run.published())
    if found.empty:
        raise NotRun("scenes")
    moved = ", ".join(f"{offset:+.0f} ms at {hop} ms" for hop, offset in offsets.items())
    gaps = [f"{row['question'].split()[2]} over 320 ms {signed(questions.points(row))}"
            for row in found.to_dict("records")]  # fmt: skip
    return f"event F1, corrected for the offset of the nearest frame ({moved}): {', '.join(gaps)}"


def lite0_at_its_best(evidence: Evidence) -> str:
    """D2: accuracy of Lite0 with the recipe chosen by validation, with half its steps, and with a fourth fold."""
    conditions = {
        "800 steps": "Lite0, 224 bands", "400 steps": "Lite0, 224 bands, half the steps",
        "400 steps on four folds": "Lite0, 224 bands, half the steps, refit",
    }  # fmt: skip
    levels = []
    for how, condition in conditions.items():
        got = stats.accuracy(evidence.run("transfer", condition)).scaled(100)
        levels.append(f"{how} {level_text(got.mean, got.low, got.high)}")
    return f"EfficientNet-Lite0 on ESC-10, folds by recording: {'; '.join(levels)}"


def worth_of_a_leak(evidence: Evidence) -> str:
    """D2: how much accuracy a leak adds, from the published runs of notebook 04."""
    worth = []
    for dataset, run in LEAKAGE.items():
        value = recorded(run)
        worth.append(f"{value['accuracy_E_SVM'] - value['accuracy_A_SVM']:+.1f} points on {DATA[dataset]}")
    return (
        f"making copies before a random split adds {' and '.join(worth)} to the accuracy of an SVM on 26 numbers "
        "(notebook 04)"
    )


def over_chance(evidence: Evidence, model: str) -> Part:
    """D4: is a network trained from scratch without augmentation better than chance?"""
    rows = evidence.run("scratch", questions.condition("neither augmented") | {"model": model})
    by_fold = rows.groupby("fold")["test_accuracy"].mean()
    if len(by_fold) < 2:
        raise NotRun("scratch")
    found = stats.of_values((by_fold - CHANCE).to_numpy(), overlap=stats.overlap_of(rows))
    return Part(f"{model.upper()} over chance", DATA["esc10"], found, design=folds_and_seeds(rows))


def loss_saved(evidence: Evidence, model: str, by: str) -> Part:
    """D4: the last validation loss (nats) without augmentation minus that with `by` (`clips`, `pictures`) augmented."""
    rows = evidence.run("scratch", {"model": model})
    rows = rows.assign(loss=[losses[-1] for losses in rows["history.validation_loss"]])
    plain, augmented = chosen(rows, "neither augmented"), chosen(rows, f"{by} augmented")
    found = difference(plain, augmented, "loss")
    about = f"{model.upper()}, last validation loss, no augmentation minus {by} augmented"
    return Part(about, DATA["esc10"], found, unit="nats", scale=1, digits=2, design=folds_and_seeds(augmented))


def risen_losses(evidence: Evidence) -> str:
    """D4: how far the validation loss has risen from its minimum by the last step, without augmentation."""
    plain = evidence.run("scratch", "neither augmented")
    losses = plain["history.validation_loss"]
    risen = (losses.map(lambda values: values[-1]) - losses.map(min)).groupby(plain["model"]).mean()
    ends = ", ".join(f"{model.upper()} {value:.2f}" for model, value in risen.items())
    return f"without augmentation, rise of the validation loss from its minimum (nats): {ends}"


def training_losses(evidence: Evidence) -> str:
    """D4: the last training loss with augmented pictures and without augmentation."""
    ends = []
    for how in ("pictures augmented", "neither augmented"):
        rows = evidence.run("scratch", how)
        last = rows["history.loss"].map(lambda losses: losses[-1]).groupby(rows["model"]).mean()
        ends.append(f"{how} " + ", ".join(f"{model.upper()} {value:.2f}" for model, value in last.items()))
    return f"last training loss (nats): {'; '.join(ends)}"


def lite0_over(evidence: Evidence, model: str, how: str) -> Part:
    """D5: fine-tuned Lite0 minus a CNN from scratch, by fold over all seeds; `how`: `clips` or `neither` augmented."""
    augmented = {"neither": "fine-tuned", "clips": "clips augmented"}[how]
    lite0 = evidence.run(
        "transfer", questions.usual_fields("ESC-10, Lite0, 400 steps") | questions.condition(augmented)
    )
    cnn = evidence.run("scratch", questions.condition("neither augmented" if how == "neither" else augmented))
    cnn = chosen(cnn, {"model": model})
    means = [rows.groupby("fold")["test_accuracy"].mean() for rows in (lite0, cnn)]
    gaps = (means[0] - means[1]).dropna().to_numpy()
    if len(gaps) < 2:
        raise NotRun("scratch")
    originals = evidence.run("scratch", questions.condition("neither augmented"))  # copies do not count as clips
    found = stats.of_values(gaps, overlap=stats.overlap_of(originals))
    design = f"{len(gaps)} folds x {lite0['seed'].nunique()} against {cnn['seed'].nunique()}"
    return Part(f"Lite0 over {model.upper()}", DATA["esc10"], found, design=design)


COMPUTED: dict[str, Callable] = {
    function.__name__: function
    for function in (
        Evidence.part, short_training, wide_windows, own_hops, best_of_three, stages, counted_cost, own_depths,
        measured_cost, still_falling, separability, separability_accuracy, level, constant_baseline, localised_by,
        offsets_undone, lite0_at_its_best, worth_of_a_leak, over_chance, loss_saved, risen_losses, training_losses,
        lite0_over,
    )
}  # fmt: skip

"""The claims of the four papers, judged by published rows. They are listed in `study/claims.toml`; see `verdicts`.

A claim has parts, each with an interval and a margin. Most parts are a question of `study/questions.toml`; parts that
take more than one question are computed by the functions at the end of this file. Notebook: 12.
"""

import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from functools import cache, cached_property
from itertools import pairwise

import numpy as np
import pandas as pd

from course_lib.analysis import per_class, questions
from course_lib.analysis.questions import ALL_STREAMS, SHORT, chosen
from course_lib.analysis.verdicts import COUNTED, NOT_TESTABLE, Part, first_sentence, overall, signed
from course_lib.checked import checked, nearest
from course_lib.errors import CourseError
from course_lib.evaluation.intervals import Interval
from course_lib.evaluation.separability import RANGES
from course_lib.paths import published_dir, study_dir
from course_lib.study import scene_run, stats
from course_lib.study.grid import read_toml
from course_lib.training import cost

HALF = "DiffRes, half the frames, no worse than 10 ms"
CHANCE = 10.0  # accuracy in % of guessing one of ten classes of equal size
SEPARABILITY = "09_spectrogram_transformers-study-esc10.json"
LEAKAGE = "04_folds_and_leakage-study-esc10.json"
COLUMNS = ("id", "claim", "paper", "ours", "design", "control", "verdict", "reason")


class NotRun(Exception):
    """What a claim needs has not been run or not been published."""


class Evidence:
    """The answers of the published rows to every question; `published` gives the rows of a grid by its name."""

    def __init__(self, published: Callable[[str], pd.DataFrame] = questions.published) -> None:
        self.rows = published

    @cached_property
    def answers(self) -> pd.DataFrame:
        """`questions.answers` of all grids, with a column `grid`."""
        grids = dict.fromkeys(question.grid for question in questions.questions())
        found = [questions.answers(grid, self.rows(grid)).assign(grid=grid) for grid in grids]
        return pd.concat([table for table in found if len(table)] or found[:1], ignore_index=True)

    def run(self, grid: str, fields: str | Mapping[str, object]) -> pd.DataFrame:
        """The rows of one condition of a grid, as `questions.chosen` takes it. Raises `NotRun` if there are none."""
        rows = chosen(self.rows(grid), fields)
        if rows.empty:
            raise NotRun(grid)
        return rows

    def part(
        self, question: str, where: str, about: str = "", *, turned: bool = False, margin: float = 0, macs: bool = False
    ) -> Part:
        """The part that asks one question of one place, under the name `about`.

        `turned` asks the opposite, with a `margin` as a share; `macs` adds the cost of the first condition.

        Raises
        ------
        CourseError
            There is no such question.
        NotRun
            No published rows answer it.
        """
        if not any(q.text == question and q.where == where for q in questions.questions()):
            raise CourseError(f"claims.toml: questions.toml has no question {question!r} to {where!r}")
        rows = self.answers[(self.answers["question"] == question) & (self.answers["where"] == where)]
        if rows.empty:
            raise NotRun(question)
        row = rows.iloc[0]
        gap = questions.points(row)
        if turned:
            gap = Interval(-gap.mean, -gap.high, -gap.low)
        design = f"{row['pairs']} folds x {row['seeds']}" if row["paired_by"] == "fold" else f"1 fold x {row['pairs']}"
        if row["mixed"]:
            design += f", {row['mixed']} runs against one of another kind of machine"
        about = about or f"{question} ({where})"
        if macs:
            about += f", {row['macs']:.2f} of the MACs"
        return Part(about, gap, 100 * (margin if turned else row["margin"]), design)


@checked
class Claim:
    """A claim of a paper, as `study/claims.toml` states it.

    Attributes
    ----------
    id, says, paper : its number, the claim in short, and the paper's own figure.
    why : the second sentence of the reason, true whatever the verdict; the first one is made from the parts.
    parts, control : what decides the verdict, and what is shown beside it.
    ours : what we measured instead, for a claim that cannot be tested here: it has no parts, and `why` is the reason.
    """

    id: str
    says: str
    why: str
    paper: str = ""
    parts: Sequence[Mapping] = ()
    control: Sequence[Mapping] = ()
    ours: Sequence[Mapping] = ()


@cache
def claims() -> tuple[Claim, ...]:
    """Every claim, in the order of the papers.

    Raises
    ------
    CourseError
        `study/claims.toml` cannot be read, or a claim has an unknown key or lacks one.
    """
    found = []
    for given in read_toml(study_dir() / "claims.toml")["claim"]:
        try:
            found.append(Claim(**given))
        except ValueError as error:
            raise CourseError(f"claims.toml: claim {given.get('id')!r}: {error}") from None
    return tuple(found)


def found_by(entry: Mapping, evidence: Evidence) -> list[Part | str]:
    """The parts, or the text, of one entry of a claim: a question, or a function with the other keys as arguments.

    Raises
    ------
    CourseError
        There is no such question or function, or it takes other keys.
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
    except NotRun:
        found = Part(name, None)
    return found if isinstance(found, list) else [found]


def evidence_text(entries: Sequence[Mapping], evidence: Evidence) -> str:
    """The text beside a claim: questions with their verdicts, and what the functions found."""
    texts = []
    for entry in entries:
        for found in found_by(entry, evidence):
            if isinstance(found, str):
                texts.append(found)
            elif found.gap is not None:
                texts.append(f"{found.text}, {found.verdict}")
    return "; ".join(text for text in texts if text)


def judged(claim: Claim, evidence: Evidence) -> dict[str, str]:
    """The row of a claim in the table: what the paper says, what we measured, its design, control, verdict, reason."""
    row = {"id": claim.id, "claim": claim.says, "paper": claim.paper, "ours": evidence_text(claim.ours, evidence),
           "design": "", "control": evidence_text(claim.control, evidence), "verdict": NOT_TESTABLE,
           "reason": claim.why}  # fmt: skip
    if not claim.parts:
        return row
    parts = [part for entry in claim.parts for part in found_by(entry, evidence)]
    texts = [part.text for part in parts if part.gap is not None]
    missing = len(parts) - len(texts)
    if missing:
        texts.append(f"{missing} not run")
    return row | {
        "ours": "; ".join(texts),
        "design": ", ".join(dict.fromkeys(part.design for part in parts if part.design)),
        "verdict": overall(parts),
        "reason": f"{first_sentence(parts)} {claim.why}",
    }


def table(evidence: Evidence) -> pd.DataFrame:
    """`judged` of all claims, one row each."""
    return pd.DataFrame([judged(claim, evidence) for claim in claims()], columns=list(COLUMNS))


# --- What takes more than one question. Each function gets the evidence and returns parts, or a text for a control;
# --- where rows are missing it raises `NotRun`


def design_of(rows: pd.DataFrame) -> str:
    """How many folds and seeds rows on clips have."""
    return f"{rows['fold'].nunique()} folds x {rows['seed'].nunique()}"


def difference(first: pd.DataFrame, second: pd.DataFrame, score: str = "test_accuracy") -> stats.Difference:
    """`stats.difference`, or `NotRun` if the two have fewer than two pairs."""
    found = stats.difference(first, second, score=score)
    if found is None:
        raise NotRun(score)
    return found


def exact(value: float) -> Interval:
    """A counted number, which has no uncertainty."""
    return Interval(value, value, value)


def sweep(evidence: Evidence) -> pd.DataFrame:
    """Rows of the hop sweep with one window and one budget, without the hops that have fewer seeds than others."""
    rows = evidence.run("lesson", {"recipe.steps": 240, "features.window_ms": 25.0})
    seeds = rows.groupby("features.hop_ms")["seed"].transform("nunique")
    return rows[seeds == seeds.max()].reset_index(drop=True)


def hop_parts(evidence: Evidence) -> list[Part]:
    """A1: does the hop change accuracy, and does each class need its own?"""
    rows = sweep(evidence)
    usual = chosen(rows, {"features.hop_ms": per_class.USUAL_MS})
    longest = chosen(rows, {"features.hop_ms": rows["features.hop_ms"].max()})
    changed = difference(usual, longest).interval.scaled(100)
    own = per_class.own_hop(rows)[0].scaled(100)
    about = "each class at a hop of its own, chosen on other folds, over one hop for all"
    return [Part("10 ms over 80 ms", changed, design=design_of(rows)), Part(about, own, design=design_of(rows))]


def wide_windows(evidence: Evidence) -> str:
    """A1: the same with windows of 2.5 hops."""
    rows = evidence.run("lesson", {"recipe.steps": 240})
    usual = chosen(rows, {"features.hop_ms": 10.0, "features.window_ms": 25.0})
    longest = chosen(rows, {"features.hop_ms": 80.0, "features.window_ms": 200.0})
    return f"10 ms less 80 ms with a window as wide: {signed(difference(usual, longest).interval.scaled(100))}"


def cheap_enough(evidence: Evidence) -> list[Part]:
    """A3: its questions at the long budgets, where the MACs, layer included, are at most three quarters."""
    rows = evidence.answers
    rows = rows[(rows["claim"] == "A3") & (rows["grid"] == "diffres") & (rows["where"] != SHORT)]
    cheap = rows[rows["macs"] <= 0.75]
    if cheap.empty:
        raise NotRun("diffres")
    return [evidence.part(row.question, row.where, row.where, macs=True) for row in cheap.itertuples()]


@cache
def base_networks(frames: int, n_classes: int) -> dict[str, dict]:
    """AST and our MAST of base size, counted: `macs` and `parameters` (millions), and MAST's `grids` and `widths`."""
    import torch

    from course_lib.models import transformers

    with torch.device("meta"):  # shapes only, nothing is computed
        nets = {
            "AST": transformers.ast_base(frames, 128, n_classes),
            "MAST": transformers.mast_base(frames, 128, n_classes),
        }
    seen: list[tuple[tuple[int, int], int]] = []
    for stage in nets["MAST"].v.stages:
        stage["blocks"][-1].register_forward_hook(lambda module, given, out: seen.append((out[1], out[0].shape[2])))
    found = {
        name: {"macs": cost.macs(net, frames, 128) / 1e6, "parameters": cost.parameters(net) / 1e6}
        for name, net in nets.items()
    }
    return found | {"grids": [grid for grid, _ in seen], "widths": [width for _, width in seen]}


def stages(evidence: Evidence) -> Part:
    """B1: do tokens get fewer and features wider from stage to stage?"""
    both = base_networks(500, 50)  # 5 s of ESC-50 at a hop of 10 ms
    tokens, widths = [rows * columns for rows, columns in both["grids"]], both["widths"]
    falling = all(a > b for a, b in pairwise(tokens))
    widening = all(a < b for a, b in pairwise(widths))
    gap = exact(1.0 if falling and widening else -1.0)
    shown = f"{' > '.join(map(str, tokens))} tokens, {' < '.join(map(str, widths))} wide"
    return Part("tokens and widths by stage at 5 s", gap, design=COUNTED, shown=shown)


def counted_cost(
    evidence: Evidence, length: str, frames: int, n_classes: int, times_fewer: float, percent_fewer: float
) -> list[Part]:
    """B4: MACs and parameters of both networks against the paper's figures, which may be rounded."""
    both = base_networks(frames, n_classes)
    times = both["AST"]["macs"] / both["MAST"]["macs"]
    percent = 100 * (1 - both["MAST"]["parameters"] / both["AST"]["parameters"])
    return [
        Part(f"MACs at {length}", exact(times - times_fewer), 0.5, COUNTED, "times fewer", f"{times:.2f}"),
        Part(f"parameters at {length}", exact(percent - percent_fewer), 0.5, COUNTED, "% fewer", f"{percent:.1f}"),
    ]


def measured_cost(evidence: Evidence) -> str:
    """B4: how much time fewer MACs save, in the small versions of both networks."""
    rows = evidence.run("transformers", {"dataset": "esc10"})
    by_model = rows.groupby("model")[["macs", "latency_ms"]].median()
    share = by_model.loc["mast-tiny"] / by_model.loc["ast-tiny"]
    return f"small twins, measured: {share['macs']:.2f} of AST's MACs take {share['latency_ms']:.2f} of its time"


def recorded(name: str) -> dict[str, float]:
    """What a published run of a notebook recorded, by name. Raises `NotRun` if there is no such run."""
    path = published_dir() / name
    if not path.is_file():
        raise NotRun(name)
    entries = json.loads(path.read_text(encoding="utf-8"))["recorded"]
    return {name: entry["value"] for name, entry in entries.items()}


def separability(evidence: Evidence) -> list[Part]:
    """B5: four measures from a published run of notebook 09, MAST minus AST, with intervals taken as independent."""
    value, parts = recorded(SEPARABILITY), []
    for measure in RANGES:
        sign = -1 if measure == "davies_bouldin" else 1  # for which lower is better
        mean = sign * (value[f"{measure}_MAST"] - value[f"{measure}_AST"])
        reach = float(np.hypot(value[f"{measure}_AST_reach"], value[f"{measure}_MAST_reach"]))
        gap = Interval(mean, mean - reach, mean + reach)
        name = measure.replace("_", "-")
        parts.append(Part(name, gap, design="1 fold x 1", unit="of its scale", shown=signed(gap, 2)))
    return parts


def separability_accuracy(evidence: Evidence) -> str:
    """B5: the accuracy of the same two networks."""
    value = recorded(SEPARABILITY)
    levels = ", ".join(f"{name} {value[f'accuracy_{name}']:.0f} %" for name in ("AST", "MAST"))
    return f"accuracy of the same networks on their test fold: {levels}"


def level(evidence: Evidence, score: str, streams: str) -> str:
    """C1 to C4: our level of one score of one input, in %."""
    found = questions.levels(evidence.rows("scenes"))
    found = found[(found["score"] == score) & (found["streams"] == streams)]
    return "".join(f"level {r.mean:.1f} ({r.low:.1f} to {r.high:.1f}), other scenes" for r in found.itertuples())


def gain_in_segments(evidence: Evidence) -> Part:
    """C8: how much all streams add to the spectral one by segments, minus how much they add by events."""
    rows = evidence.run("scenes", questions.usual_fields("event"))
    rows = rows.assign(excess=rows["test_segment_f1"] - rows["test_event_f1"])
    everything, spectral = (chosen(rows, {"streams": names}) for names in (ALL_STREAMS, "spectral"))
    found = difference(everything, spectral, "excess")
    gap = found.interval.scaled(100)
    return Part("gain in segments over gain by events", gap, design=f"1 fold x {found.pairs}")


def offsets_undone(evidence: Evidence) -> str:
    """C8: the questions about hops again, with the offset of each hop undone."""
    found, offsets = questions.offsets_undone(evidence.rows("scenes"), scene_run.published())
    if found.empty:
        raise NotRun("scenes")
    moved = ", ".join(f"{offset:+.0f} ms at {hop} ms" for hop, offset in offsets.items())
    parts = [Part(f"events, {row['question'].split()[2]} over 320 ms", questions.points(row))
             for row in found.to_dict("records")]  # fmt: skip
    answers = "; ".join(f"{part.text}, {part.verdict}" for part in parts)
    return f"with what the nearest frame moves undone ({moved}): {answers}"


def lite0_at_its_best(evidence: Evidence) -> str:
    """D2: accuracy of Lite0 with the recipe chosen by validation, and after learning from four folds."""
    levels = []
    for how in ("", ", half the steps, refit"):
        got = stats.accuracy(evidence.run("transfer", f"Lite0, 224 bands{how}")).scaled(100)
        levels.append(f"{got.mean:.1f} ({got.low:.1f} to {got.high:.1f})")
    return f"EfficientNet-Lite0 on ESC-10, folds by recording: {levels[0]}; refit on four folds {levels[1]}"


def worth_of_a_leak(evidence: Evidence) -> str:
    """D2: how much accuracy a leak adds, from the published run of notebook 04."""
    value = recorded(LEAKAGE)
    worth = value["accuracy_E_SVM"] - value["accuracy_A_SVM"]
    return f"copies made before a random split are worth {worth:+.1f} points to an SVM of 26 numbers (notebook 04)"


def over_chance(evidence: Evidence, model: str) -> Part:
    """D4: is a network trained from scratch, with nothing augmented, better than chance?"""
    rows = evidence.run("scratch", questions.condition("neither augmented") | {"model": model})
    got = stats.accuracy(rows).scaled(100)
    over = Interval(got.mean - CHANCE, got.low - CHANCE, got.high - CHANCE)
    return Part(f"{model.upper()} over chance", over, design=design_of(rows))


def loss_saved(evidence: Evidence, model: str, by: str) -> Part:
    """D4: the last validation loss with nothing augmented, minus that with `by`, `clips` or `pictures`, in nats."""
    rows = evidence.run("scratch", {"model": model})
    rows = rows.assign(loss=[losses[-1] for losses in rows["history.validation_loss"]])
    plain, augmented = chosen(rows, "neither augmented"), chosen(rows, f"{by} augmented")
    gap = difference(plain, augmented, "loss").interval
    about = f"{model.upper()}, last validation loss saved by {by} augmented"
    return Part(about, gap, design=design_of(augmented), unit="nats", shown=signed(gap, 2))


def risen_losses(evidence: Evidence) -> str:
    """D4: how far the validation loss has risen from its minimum by the last step, with nothing augmented."""
    plain = evidence.run("scratch", "neither augmented")
    losses = plain["history.validation_loss"]
    risen = (losses.map(lambda values: values[-1]) - losses.map(min)).groupby(plain["model"]).mean()
    ends = ", ".join(f"{model.upper()} {value:.2f}" for model, value in risen.items())
    return f"with neither, nats between the least loss on validation and the last: {ends}"


COMPUTED: dict[str, Callable] = {
    function.__name__: function
    for function in (
        Evidence.part, hop_parts, wide_windows, cheap_enough, stages, counted_cost, measured_cost, separability,
        separability_accuracy, level, gain_in_segments, offsets_undone, lite0_at_its_best, worth_of_a_leak,
        over_chance, loss_saved, risen_losses,
    )
}  # fmt: skip

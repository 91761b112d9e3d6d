"""Questions about the rows of the study, listed in `study/questions.toml`; each is answered by a paired difference."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache, lru_cache
from pathlib import Path

import numpy as np
import pandas as pd

from course_lib import paths
from course_lib.analysis import verdicts
from course_lib.analysis.verdicts import Part
from course_lib.checked import checked
from course_lib.errors import CourseError
from course_lib.evaluation.intervals import Interval
from course_lib.study import config, scene_run, stats
from course_lib.study.grid import read_toml
from course_lib.study.records import ROWS, done, gather

EQUAL = 0.02  # the margin of *no worse*, as a share: two points (study/protocol.md)
LONG, SHORT = "ESC-10, 800 steps", "ESC-10, 240 steps"
ALL_STREAMS = "spectral+auditory+visual"
COLUMNS = (
    "where", "data", "claim", "question", "paper", "first", "second", "difference", "low", "high", "corrected_low",
    "corrected_high", "minimum_detectable_effect", "margin", "pairs", "paired_by", "seeds", "std", "df", "macs",
    "mixed", "p", "verdict",
)  # fmt: skip
DESIGN = ("dataset", "recipe.steps", "refit")  # what all conditions of a design have in common
DATA = {
    "esc10": "ESC-10", "fsdd": "spoken digits", "timing": "timing probe", "esc50": "ESC-50", "nsynth": "NSynth",
    "speechcommands": "Speech Commands", "fsd50k": "FSD50K", "urbansound8k": "UrbanSound8K",
    "speechcommands10": "ten spoken words", "timing10s": "timing probe of 10 s",
}  # fmt: skip
SCENES = "scenes of ESC-10"
OWN_SPREAD = ("timing probe", "timing probe of 10 s")  # where conditions differ in variance: see study/protocol.md
STILL_RISING = 0.02  # rise of the validation accuracy over the last quarter of the steps, a share; more is unconverged


@checked
class Question:
    """Is `first` better than `second`, or at most `margin` (a share) worse?

    Attributes
    ----------
    text, where : the question, and the place in `questions.toml` whose rows answer it.
    grid, score : the grid of those rows, and the score by which they are compared; empty for the only one they have.
    first, second : every field that the rows of the two conditions have, by dotted name.
    claim : the paper's claim that it tests, empty for a control.
    family : a name shared by the questions of a place whose p values are corrected together; empty for a question that
        decides a claim, or is corrected alone.
    repeats : the runs that each condition must have before the question is asked; 0 for any number.
    paper : the paper's own difference in points, if it gives one.
    """

    text: str
    where: str
    grid: str
    first: Mapping[str, object]
    second: Mapping[str, object]
    score: str = ""
    claim: str = ""
    family: str = ""
    repeats: int = 0
    margin: float = 0.0
    paper: float | None = None


@cache
def _file() -> dict:
    """The content of `study/questions.toml`."""
    return read_toml(paths.study_dir() / "questions.toml")


def paper_scores(score: str) -> dict[str, float]:
    """Micro F1 in % of the audiovisual paper, by the input streams of its network; `score` as in `stats.SCORES`."""
    return _file()["paper"][score]


def condition(fields: str | Mapping[str, object]) -> dict[str, object]:
    """Fields by dotted name, from `fields`, nested or not, or from the condition of that name.

    Raises
    ------
    CourseError
        No condition has this name, or there is no such field.
    """
    if isinstance(fields, str):
        known = _file()["conditions"]
        if fields not in known:
            raise CourseError(f"questions.toml: no condition {fields!r}; there are {', '.join(known)}")
        fields = known[fields]
    found = config.dotted(fields)
    unknown = found.keys() - config.defaults(config.RunSpec).keys() - config.defaults(config.SceneRun).keys()
    if unknown:
        raise CourseError(f"questions.toml: {min(unknown)}: not a field of a run; use a name as in a grid")
    return found


@cache
def usual_fields(where: str) -> dict[str, object]:
    """The fields of a place: those of every condition asked about there, unless the condition sets them itself.

    Raises
    ------
    CourseError
        There is no such place.
    """
    places = _file()["places"]
    if where not in places:
        raise CourseError(f"questions.toml: no place {where!r}; there are {', '.join(places)}")
    kind = "scenes" if "score" in places[where] else "clips"
    return condition(_file()["usual"][kind]) | condition(places[where].get("fields", {}))


@cache
def questions() -> tuple[Question, ...]:
    """Every question, in the order of the tables.

    Raises
    ------
    CourseError
        The file names a place, a condition, a field or a key that does not exist.
    """
    return tuple(
        _question(where, **given) for block in _file()["asked"] for where in block["of"] for given in block["questions"]
    )


def _question(where: str, text: str, first: str | Mapping, second: str | Mapping = {}, **more: object) -> Question:
    """One question asked of one place."""
    usual, place = usual_fields(where), _file()["places"][where]
    first, second = condition(first), condition(second)
    score = place.get("score", "")
    paper = None
    if first.keys() == second.keys() == {"streams"}:
        known = paper_scores(score)
        if first["streams"] in known and second["streams"] in known:
            paper = round(known[first["streams"]] - known[second["streams"]], 2)
    if place.get("control"):
        more.pop("claim", None)
    try:
        sides = usual | first, usual | second
        return Question(text, where, place["grid"], *sides, score, repeats=place.get("repeats", 0), paper=paper, **more)
    except ValueError as error:
        raise CourseError(f"questions.toml: question {text!r}: {error}") from None


def chosen(rows: pd.DataFrame, fields: str | Mapping[str, object]) -> pd.DataFrame:
    """Rows of one condition: those with all of `fields`, which may be the name of a condition."""
    if rows.empty:
        return rows
    right = np.ones(len(rows), dtype=bool)
    for name, value in condition(fields).items():
        right &= (rows[name] == value).to_numpy()
    return rows[right]


def _mixed(both: pd.DataFrame) -> str:
    """How many pairs ran on two kinds of machine, such as `4 of 15`; empty if none did."""
    first, second = (both[name].str.partition(":")[0] for name in ("device", "device_second"))
    other = int((first != second).sum())
    return f"{other} of {len(both)}" if other else ""


def data_of(where: str) -> str:
    """The data set of a place, in words."""
    place = _file()["places"][where]
    if "score" in place:
        return place.get("data", SCENES)
    return DATA[usual_fields(where)["dataset"]]


def grid_of(where: str) -> tuple[str, int]:
    """The grid of a place, and the runs that each of its conditions must have before a question is asked."""
    place = _file()["places"][where]
    return place["grid"], max(place.get("repeats", 0), 1)


def design_of(question: Question, rows: pd.DataFrame) -> pd.DataFrame | None:
    """The rows of `question`'s grid that share its design; None if differences there have a spread of their own."""
    if data_of(question.where) in OWN_SPREAD:
        return None
    alike = {name: question.first[name] for name in DESIGN if name in question.first}
    if "model" in question.first and question.first["model"] == question.second["model"]:
        alike["model"] = question.first["model"]
    return chosen(rows, alike)


def compared(question: Question, rows: pd.DataFrame) -> stats.Difference | None:
    """The difference that answers `question`; None if it has fewer than two pairs, or fewer runs than it needs."""
    first, second = (chosen(rows, fields) for fields in (question.first, question.second))
    if min(len(first), len(second)) < max(question.repeats, 1):
        return None
    return stats.difference(first, second, score=_score_column(question, rows), design=design_of(question, rows))


def _score_column(question: Question, rows: pd.DataFrame) -> str:
    """The column of `rows` by which `question` compares its two conditions."""
    scores = stats.scores_of(rows)
    return scores[question.score] if question.score else next(iter(scores.values()))


def converged(question: Question, rows: pd.DataFrame) -> bool:
    """Whether both conditions had stopped improving when their training ended: see `STILL_RISING`.

    Asked only where the protocol does, of questions that need a certain number of `repeats`.
    """
    if not question.repeats:
        return True
    return all(late_rise(chosen(rows, fields)) <= STILL_RISING for fields in (question.first, question.second))


def all_converged(where: str, conditions: Sequence[Mapping], published: Callable[[str], pd.DataFrame]) -> bool:
    """Like `converged`, for fields that differ from the usual ones of the place `where`."""
    grid, repeats = grid_of(where)
    if repeats == 1:
        return True
    rows, usual = published(grid), usual_fields(where)
    return all(late_rise(chosen(rows, usual | fields)) <= STILL_RISING for fields in conditions)


def late_rise(rows: pd.DataFrame) -> float:
    """Rise of the validation accuracy over the last quarter of the steps, a share, mean over the runs `rows`.

    For scenes, it is that of the tagging F1.
    """
    validated = "validation_accuracy" if "history.validation_accuracy" in rows else "validation_tagging"
    rises = []
    for steps, scores in zip(rows["history.step"], rows[f"history.{validated}"], strict=True):
        from_step = np.abs(np.asarray(steps) - 0.75 * steps[-1]).argmin()
        rises.append(scores[-1] - scores[from_step])
    return float(np.mean(rises))


def answers(grid: str = "diffres", rows: pd.DataFrame | None = None) -> pd.DataFrame:
    """One row for each question about `grid` that `rows` can answer; by default they are the published ones.

    Columns: `where`, `data` (the data set), `claim`, `question`, `paper` (the paper's difference in points, or None),
    `first` and `second` (scores over the folds and seeds that both have), `difference` with its t interval `low` to
    `high` and the interval for folds that share training clips (`corrected_low`, `corrected_high`),
    `minimum_detectable_effect`, `margin`, `pairs`, `paired_by`, `seeds`, `std` and `df` (of the differences, see
    `stats.Difference`), `macs` (of the first as a share of the second's, without features; NaN for scenes), `mixed`
    (pairs on two kinds of machine, as `4 of 15`, or empty), `p` (corrected for the questions of the same claim, or the
    same family, in this grid) and `verdict`. Scores and differences are shares. Rows of the grid `scenes` all have one
    fold, so their intervals cover the randomness of training on these scenes, not the choice of sounds.
    """
    if rows is None:
        path = paths.published_dir() / grid / ROWS
        changed_ns = path.stat().st_mtime_ns if path.is_file() else 0
        return _answers_of_published(grid, path, changed_ns).copy(deep=False)
    if len(rows):  # they have many columns, most of them not needed here
        fields = config.defaults(config.RunSpec).keys() | config.defaults(config.SceneRun).keys()
        kept = {*fields, *stats.scores_of(rows).values(), "device", "macs", "n_train", "n_test"}
        kept |= {"history.step", "history.validation_accuracy", "history.validation_tagging"}
        rows = rows[[name for name in rows.columns if name in kept]]
    asked = [question for question in questions() if question.grid == grid and len(rows)]
    parts = []
    for question in asked:
        found = compared(question, rows)
        settled = found is None or converged(question, rows)
        parts.append(Part(question.text, data_of(question.where), found, question.margin, converged=settled))
    groups: dict[str | int, list[int]] = {}
    for place, question in enumerate(asked):
        groups.setdefault(question.claim or question.family or place, []).append(place)  # each control on its own
    for places in groups.values():
        for place, part in zip(places, verdicts.corrected([parts[k] for k in places]), strict=True):
            parts[place] = part
    answered = [(question, part) for question, part in zip(asked, parts, strict=True) if part.found is not None]
    table = [_answer(question, part, rows) for question, part in answered]
    return pd.DataFrame(table, columns=COLUMNS)


@lru_cache(maxsize=16)
def _answers_of_published(grid: str, path: Path, changed_ns: int) -> pd.DataFrame:
    """`answers` of the published rows of `grid` in the file `path`, last changed at `changed_ns`."""
    return answers(grid, published(grid))


def _answer(question: Question, part: Part, rows: pd.DataFrame) -> dict[str, object]:
    """The row of one question in the table of answers."""
    score = _score_column(question, rows)
    needed = rows.columns.intersection([*stats.REPEATS, score, "device", "macs"])
    first, second = (chosen(rows, fields)[needed] for fields in (question.first, question.second))
    both = first.merge(second, on=list(stats.REPEATS), suffixes=("", "_second"))
    seen, gap = part.found, part.found.interval
    return {
        "where": question.where, "data": part.data, "claim": question.claim, "question": question.text,
        "paper": question.paper, "first": stats.mean_score(both, score),
        "second": stats.mean_score(both, f"{score}_second"), "difference": gap.mean, "low": gap.low, "high": gap.high,
        "corrected_low": seen.corrected.low, "corrected_high": seen.corrected.high,
        "minimum_detectable_effect": seen.minimum_detectable_effect, "margin": question.margin, "pairs": seen.pairs,
        "paired_by": seen.paired_by, "seeds": both["seed"].nunique(), "std": seen.std, "df": seen.df,
        "macs": both["macs"].median() / both["macs_second"].median() if "macs" in both else np.nan,
        "mixed": _mixed(both), "p": part.p, "verdict": part.verdict,
    }  # fmt: skip


def difference_of(answer: Mapping[str, object]) -> stats.Difference:
    """The difference of a row of `answers`."""
    gap, wide = (
        Interval(answer["difference"], answer[f"{name}low"], answer[f"{name}high"]) for name in ("", "corrected_")
    )
    return stats.Difference(gap, wide, answer["pairs"], answer["paired_by"], answer["std"], answer["df"])


def points(answer: Mapping[str, object]) -> Interval:
    """The difference of a row of `answers`, in points."""
    return Interval(answer["difference"], answer["low"], answer["high"]).scaled(100)


def published(grid: str = "diffres") -> pd.DataFrame:
    """The published rows of a grid that did not fail; an empty table if nothing is published."""
    path = paths.published_dir() / grid / ROWS
    if not path.is_file():
        return pd.DataFrame()
    return _read(path, path.stat().st_mtime_ns).copy(deep=False)


@lru_cache(maxsize=16)
def _read(path: Path, changed_ns: int) -> pd.DataFrame:
    """The rows of a file in its state at `changed_ns`, cached: reading takes a second, and a page asks often."""
    return done(gather(path.parent))


def levels(rows: pd.DataFrame) -> pd.DataFrame:
    """Scores of the audiovisual paper and ours, in %: `score`, `streams`, `paper`, then our `mean`, `low`, `high`.

    The t intervals are over seeds.
    """
    found = []
    for score in stats.SCORES:
        for streams, number in paper_scores(score).items():
            ours = chosen(rows, usual_fields(score) | {"streams": streams})
            if len(ours):
                got = stats.mean_interval(ours[f"test_{score}_f1"]).scaled(100)
                found.append((score, streams, number, got.mean, got.low, got.high))
    return pd.DataFrame(found, columns=["score", "streams", "paper", "mean", "low", "high"])


def offsets_undone(rows: pd.DataFrame, truth: pd.DataFrame) -> tuple[pd.DataFrame, dict[int, float]]:
    """`answers` about the hop of auditory features, corrected for each hop's offset; and these offsets in ms by hop.

    Alignment takes the nearest frame to each point of a common time base, which shifts each hop by a different amount,
    so an apparent effect of the hop may be due to the offset. `truth` is what `study.scene_run.published` returns.
    """
    if rows.empty or truth.empty:
        return answers("scenes", rows.iloc[:0]), {}
    usual = {name: value for name, value in usual_fields("event").items() if name != "auditory_ms"}
    ours = chosen(rows, usual | {"streams": "auditory"})
    ours = ours[ours["auditory_ms"] > 0]
    one_each = ours.drop_duplicates("auditory_ms").sort_values("auditory_ms").to_dict("records")
    offsets = {row["auditory_ms"]: 1000 * scene_run.offset_s(config.from_fields(row)) for row in one_each}
    found = answers("scenes", scene_run.set_right(ours, truth))
    asked = (found["where"] == "event") & found["question"].str.contains("better than every 320 ms", regex=False)
    return found[asked].reset_index(drop=True), offsets

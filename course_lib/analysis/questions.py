"""Questions to rows of the study, each answered by a paired difference. They are listed in `study/questions.toml`."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
import pandas as pd

from course_lib import paths
from course_lib.errors import CourseError
from course_lib.evaluation.intervals import Interval, verdict
from course_lib.study import config, scene_run, stats
from course_lib.study.records import done, gather

EQUAL = 0.02  # how much worse may still be called as good, as a share: two points (study/protocol.md)
LONG, SHORT = "ESC-10, 800 steps", "ESC-10, 240 steps"
ALL_STREAMS = "spectral+auditory+visual"
COLUMNS = (
    "where", "claim", "question", "paper", "first", "second", "difference", "low", "high", "minimum_detectable_effect",
    "margin", "pairs", "paired_by", "seeds", "macs", "mixed", "verdict",
)  # fmt: skip


@dataclass(frozen=True)
class Question:
    """Is `first` better than `second`, or no worse than `margin` (a share) below it?

    `first` and `second` hold every field that the rows of the two conditions must have, by dotted name. `where` is the
    place that is asked, `grid` the grid of its rows, `score` the score by which they are compared. `claim` is the
    paper's and empty for a control, `paper` the paper's own difference in points, where it gives one.
    """

    text: str
    where: str
    grid: str
    first: Mapping[str, object]
    second: Mapping[str, object]
    score: str = ""
    claim: str = ""
    margin: float = 0.0
    paper: float | None = None


@cache
def _file() -> dict:
    """What `study/questions.toml` holds."""
    return read_toml("questions.toml")


def read_toml(name: str) -> dict:
    """What a TOML file of the study holds.

    Raises
    ------
    CourseError
        It is missing, or no TOML.
    """
    path = paths.study_dir() / name
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise CourseError(f"{path}: cannot be read as TOML: {error}") from error


def paper_scores(score: str) -> dict[str, float]:
    """Micro F1 in % of the audiovisual paper, by the streams that its network got; `score` as in `stats.SCORES`."""
    return _file()["paper"][score]


def condition(fields: str | Mapping[str, object]) -> dict[str, object]:
    """Fields of a condition by dotted name: `fields`, nested or not, or those of the condition of that name.

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
    found = {}
    for name, value in fields.items():
        found |= {f"{name}.{inner}": v for inner, v in value.items()} if isinstance(value, dict) else {name: value}
    unknown = found.keys() - set(config.FIELDS) - set(config.field_names(config.SceneRun))
    if unknown:
        raise CourseError(f"questions.toml: {min(unknown)}: no field of a run; name one as in a grid")
    return found


@cache
def usual_fields(where: str) -> dict[str, object]:
    """The fields that all conditions of a place have unless they say otherwise.

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
    """Every question, in the order in which tables show them.

    Raises
    ------
    CourseError
        The file names a place, a condition, a field or a key that does not exist.
    """
    return tuple(
        _question(where, **given) for block in _file()["asked"] for where in block["of"] for given in block["questions"]
    )


def _question(where: str, text: str, first: str | Mapping, second: str | Mapping = {}, **more: object) -> Question:
    """The question that `study/questions.toml` puts to one place."""
    usual, place = usual_fields(where), _file()["places"][where]
    first, second = condition(first), condition(second)
    score = place.get("score", "")
    paper = None
    if first.keys() == second.keys() == {"streams"}:
        known = paper_scores(score)
        if first["streams"] in known and second["streams"] in known:
            paper = round(known[first["streams"]] - known[second["streams"]], 2)
    try:
        return Question(text, where, place["grid"], usual | first, usual | second, score, paper=paper, **more)
    except TypeError as error:
        raise CourseError(f"questions.toml: question {text!r}: {error}") from None


def chosen(rows: pd.DataFrame, fields: str | Mapping[str, object]) -> pd.DataFrame:
    """Rows of one condition: those with all of `fields`, or with those of the condition of that name."""
    return rows[_has(rows, condition(fields))]


def _has(rows: pd.DataFrame, fields: Mapping[str, object]) -> np.ndarray:
    """Whether each of `rows` has all of `fields`."""
    found = np.ones(len(rows), bool)
    for name, value in fields.items() if len(rows) else ():
        found &= (rows[name] == value).to_numpy()
    return found


def _shared(rows: pd.DataFrame, others: pd.DataFrame) -> pd.DataFrame:
    """Those of `rows` whose fold and seed `others` have too."""
    theirs = set(zip(others["fold"], others["seed"], strict=True))
    return rows[np.array([pair in theirs for pair in zip(rows["fold"], rows["seed"], strict=True)], dtype=bool)]


def _mixed(first: pd.DataFrame, second: pd.DataFrame) -> str:
    """How many of the runs that stand against each other ran on another kind of machine; nothing where none did."""
    both = first.merge(second, on=list(stats.REPEATS), suffixes=("", "_second"))
    kinds = both[["device", "device_second"]].apply(lambda names: names.str.partition(":")[0])
    other = int((kinds["device"] != kinds["device_second"]).sum())
    return f"{other} of {len(both)}" if other else ""


def answers(grid: str = "diffres", rows: pd.DataFrame | None = None) -> pd.DataFrame:
    """One row a question to `grid` that can be answered from `rows`, by default from those that are published.

    Columns: `where`, `claim`, `question`, `paper` (its difference in points, None where it gives none), `first`,
    `second` (scores over the folds and seeds that both have), `difference` with its t interval `low` to `high`,
    `minimum_detectable_effect`, `margin`, `pairs`, `paired_by`, `seeds`, `macs` (of the first, as a share of those of
    the second, features not counted; NaN for scenes), `mixed` (runs that stand against one of another kind of machine,
    as `4 of 15`, or nothing) and `verdict`; scores and differences are shares. On scenes all pairs are of one fold:
    their intervals tell of training on these scenes, and nothing of other sounds.
    """
    rows = published(grid) if rows is None else rows
    asked = [question for question in questions() if question.grid == grid and len(rows)]
    found = [answer for answer in (_answer(question, rows) for question in asked) if answer]
    return pd.DataFrame(found, columns=COLUMNS)


def _answer(question: Question, rows: pd.DataFrame) -> dict[str, object] | None:
    """The answer to one question; None where there are not enough rows."""
    scores = stats.scores_of(rows)
    score = scores[question.score] if question.score else next(iter(scores.values()))
    needed = rows.columns.intersection([*stats.REPEATS, score, "device", "macs"])  # rows are wide: joining them is slow
    first, second = (rows.loc[_has(rows, fields), needed] for fields in (question.first, question.second))
    first, second = _shared(first, second), _shared(second, first)
    seen = stats.difference(first, second, score=score)
    if seen is None:
        return None
    gap = seen.interval
    return {
        "where": question.where, "claim": question.claim, "question": question.text, "paper": question.paper,
        "first": stats.mean_score(first, score), "second": stats.mean_score(second, score), "difference": gap.mean,
        "low": gap.low, "high": gap.high, "minimum_detectable_effect": seen.minimum_detectable_effect,
        "margin": question.margin, "pairs": seen.pairs, "paired_by": seen.paired_by, "seeds": first["seed"].nunique(),
        "macs": first["macs"].median() / second["macs"].median() if "macs" in needed else np.nan,
        "mixed": _mixed(first, second), "verdict": verdict(gap, question.margin),
    }  # fmt: skip


def points(answer: Mapping[str, object]) -> Interval:
    """The difference of a row of `answers`, in points."""
    return Interval(answer["difference"], answer["low"], answer["high"]).scaled(100)


def published(grid: str = "diffres") -> pd.DataFrame:
    """The published rows of a grid that did not fail; no rows where nothing is published."""
    path = paths.published_dir() / grid / "rows.parquet"
    if not path.is_file():
        return pd.DataFrame()
    return done(gather(path.parent))


def levels(rows: pd.DataFrame) -> pd.DataFrame:
    """Scores of the audiovisual paper beside ours: `score`, `streams`, `paper`, ours as `mean`, `low`, `high`, in %.

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
    """`answers` about the hop of auditory features once each hop's offset is undone, and these offsets in ms by hop.

    Frames of every hop are brought to one time base by the nearest, which moves each by an amount of its own: what
    looks like an effect of the hop may be one of the offset. `truth` is as `study.scene_run.published` gives it.
    """
    if rows.empty or truth.empty:
        return answers("scenes", rows.iloc[:0]), {}
    usual = {name: value for name, value in usual_fields("event").items() if name != "auditory_ms"}
    ours = chosen(rows, usual | {"streams": "auditory"})
    ours = ours[ours["auditory_ms"] > 0]
    one_each = ours.drop_duplicates("auditory_ms").sort_values("auditory_ms").to_dict("records")
    offsets = {row["auditory_ms"]: 1000 * scene_run.offset_s(scene_run.spec_of(row)) for row in one_each}
    found = answers("scenes", scene_run.set_right(ours, truth))
    asked = (found["where"] == "event") & found["question"].str.contains("better than every 320 ms", regex=False)
    return found[asked].reset_index(drop=True), offsets

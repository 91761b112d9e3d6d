"""What the audiovisual paper claims, and what it leaves open, as questions to the published rows on scenes.

The paper's numbers are of other scenes, other networks for sound and pictures, and twenty starts: levels do not
compare, differences may. Source: Boes & Van hamme, "Audiovisual transfer learning for audio tagging and sound event
detection", Interspeech 2021, arXiv 2106.05408.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pandas as pd

from course_lib.analysis.questions import chosen
from course_lib.evaluation.intervals import verdict
from course_lib.study import scene_run, scene_stats

ALL = "spectral+auditory+visual"
# Micro F1 in %, by what the network got. Which features the second number of the lower two rows is of is not public
PAPER: dict[str, dict[str, float]] = {
    "tagging": {"spectral": 76.22, "auditory": 81.03, "visual": 61.60, "auditory+visual": 80.04, ALL: 83.72},
    "segment": {"spectral": 70.09, ALL: 76.86},
    "event": {"spectral": 33.03, ALL: 32.65},
}
USUAL = {
    "auditory_ms": 320, "align": "nearest", "fusion": "mid", "frame_reducer": "none", "scenes.flash": False,
}  # fmt: skip


@dataclass(frozen=True)
class Question:
    """Is `first` better than `second` at `score`? Fields of runs by dotted name, on top of `USUAL`.

    `paper` is the paper's difference in points, None where it has none. The recipe is the usual one where not said.
    """

    score: str
    text: str
    first: Mapping[str, object]
    second: Mapping[str, object]
    paper: float | None = None
    usual: Mapping[str, object] = field(default_factory=dict)


def _streams(names: str) -> dict[str, object]:
    return {"streams": names}


def _paper(score: str, first: str, second: str) -> float | None:
    known = PAPER[score]
    return round(known[first] - known[second], 2) if first in known and second in known else None


def _compared(score: str, first: str, second: str) -> Question:
    names = {ALL: "all three"}
    text = f"{names.get(first, first)} better than {names.get(second, second)}"
    return Question(score, text, _streams(first), _streams(second), _paper(score, first, second))


SOUND = _streams("auditory")
FINE = SOUND | {"auditory_ms": 40}
QUESTIONS = (
    *(_compared("tagging", first, second) for first, second in (
        ("auditory", "spectral"), (ALL, "spectral"), (ALL, "auditory"), ("auditory+visual", "auditory"),
        ("spectral+auditory", "auditory"), (ALL, "spectral+auditory"), ("auditory", "visual"), ("spectral", "visual"),
        ("spectral+visual", "spectral"),
    )),
    *(_compared(score, first, second) for score in ("segment", "event") for first, second in (
        (ALL, "spectral"), ("auditory", "spectral"), ("spectral+auditory", "spectral"), ("auditory+visual", "auditory"),
        (ALL, "spectral+auditory"),
    )),
    *(Question("event", f"auditory every {hop} ms better than every 320 ms", SOUND | {"auditory_ms": hop}, SOUND)
      for hop in (40, 80, 160)),
    *(Question(score, "auditory every 320 ms better than one vector a scene", SOUND, SOUND | {"auditory_ms": 0})
      for score in scene_stats.SCORES),
    *(Question("event", f"frames of 40 ms, alignment {how} better than nearest", FINE | {"align": how}, FINE)
      for how in ("average", "learned", "repeat")),
    *(Question("event", f"pictures that change at the onset better than usual ones, {names}",
               _streams(names) | {"scenes.flash": True}, _streams(names)) for names in ("visual", "auditory+visual")),
    *(Question(score, "DiffRes, half the frames, better than all frames", _streams("spectral") |
               {"frame_reducer": "diffres-light:0.5"}, _streams("spectral")) for score in ("segment", "event")),
    Question("event", "DiffRes, half the frames, better than equal widths", _streams("spectral") |
             {"frame_reducer": "diffres-light:0.5"}, _streams("spectral") | {"frame_reducer": "uniform:0.5"}),
    *(Question(score, text, _streams("spectral+auditory"), _streams("spectral+auditory") | without)
      for score in scene_stats.SCORES for text, without in (
        ("unlabelled scenes better than none", {"recipe.unlabelled": 0, "recipe.ema_decay": "usual"}),
        ("teacher and unlabelled scenes better than neither", {"recipe.unlabelled": 0, "recipe.ema_decay": 0.0}),
    )),
    *(Question("event", f"fusion {how} better than mid", _streams(ALL) | {"fusion": how}, _streams(ALL))
      for how in ("early", "gate")),
)  # fmt: skip
COLUMNS = ("score", "question", "paper", "first", "second", "difference", "low", "high", "pairs", "verdict")


def answers(rows: pd.DataFrame) -> pd.DataFrame:
    """One row a question that `rows` can answer, over the starts that both conditions have.

    Columns: `score`, `question`, `paper` (points or None), `first`, `second` (mean F1), `difference` with the t
    interval over starts, `low`, `high`, `pairs`, `verdict` (of the claim that the first is better); shares. The
    intervals tell of training on these scenes; of other sounds they say nothing.
    """
    found = []
    usual = usual_fields(rows) if len(rows) else {}
    for q in QUESTIONS if len(rows) else ():
        first, second = (chosen(rows, _filled(usual, fields)) for fields in (q.first, q.second))
        gap = scene_stats.difference(first, second, q.score) if len(first) and len(second) else None
        if gap is None:
            continue
        both = first.merge(second, on=["fold", "seed"], suffixes=("", "_second"))
        means = (float(both[f"test_{q.score}_f1{end}"].mean()) for end in ("", "_second"))
        found.append((q.score, q.text, q.paper, *means, gap.mean, gap.low, gap.high, len(both), verdict(gap)))
    return pd.DataFrame(found, columns=COLUMNS)


def hops_set_right(rows: pd.DataFrame, truth: pd.DataFrame) -> tuple[pd.DataFrame, dict[int, float]]:
    """`answers` about the hop of auditory features once each hop's offset is undone, and these offsets in ms by hop.

    Frames of every hop are brought to one time base by the nearest, which moves each by an amount of its own: what
    looks like an effect of the hop may be one of the offset. `truth` is as `study.scene_truth` keeps it.
    """
    if rows.empty or truth.empty:
        return answers(rows.iloc[:0]), {}
    usual = {name: value for name, value in usual_fields(rows).items() if name != "auditory_ms"}
    mine = chosen(rows, usual | SOUND)
    mine = mine[mine["auditory_ms"] > 0]
    one_each = mine.drop_duplicates("auditory_ms").to_dict("records")
    offsets = {row["auditory_ms"]: scene_run.offset_s(scene_run.spec_of(row)) for row in one_each}
    found = answers(scene_run.set_right(mine, truth))
    asked = (found["score"] == "event") & found["question"].str.contains("better than every 320 ms", regex=False)
    return found[asked].reset_index(drop=True), {hop: 1000 * offset for hop, offset in sorted(offsets.items())}


def usual_fields(rows: pd.DataFrame) -> dict[str, object]:
    """`USUAL`, with the teacher and the unlabelled scenes that most rows have."""
    return USUAL | {name: rows[name].mode()[0] for name in ("recipe.ema_decay", "recipe.unlabelled")}


def _filled(usual: Mapping[str, object], fields: Mapping[str, object]) -> dict[str, object]:
    return dict(usual) | {name: value for name, value in fields.items() if value != "usual"}


def levels(rows: pd.DataFrame) -> pd.DataFrame:
    """The paper's numbers beside ours: `score`, `streams`, `paper` and ours as `mean`, `low`, `high` (t), in %."""
    found = []
    usual = usual_fields(rows) if len(rows) else {}
    for score, known in PAPER.items():
        for streams, number in known.items():
            mine = chosen(rows, usual | _streams(streams)) if len(rows) else rows
            if len(mine):
                got = scene_stats.mean(mine[f"test_{score}_f1"]).scaled(100)
                found.append((score, streams, number, got.mean, got.low, got.high))
    return pd.DataFrame(found, columns=["score", "streams", "paper", "mean", "low", "high"])

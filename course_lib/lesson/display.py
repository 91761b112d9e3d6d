"""What a notebook calls to talk to its reader: `show` a figure, `play` a sound, `say` a sentence, `record` a number."""

import base64
import html
import io
import json
import math
import sys
from collections.abc import Mapping
from types import EllipsisType
from typing import TYPE_CHECKING

import numpy as np
import soundfile
from IPython import get_ipython
from IPython.display import HTML, Markdown, display

from course_lib.audio import timebase
from course_lib.lesson import expected, pictures
from course_lib.lesson.live import live as live  # notebooks import everything from here

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RECORD_MIME = "application/vnd.course.record+json"
KINDS = ("exact", "rel", "band", "effect", "info")
OF_SEEDS = ("band", "effect")  # kinds whose values change with the seed
PLAYER_RATE_HZ, PLAYER_LIMIT_S = 16_000, 2.0
SMOKE = "This is a smoke run: it checks that the code works and draws no conclusion."


# --- Figures and sounds


def show(fig: "Figure", *, alt: str, caption: str = "") -> None:
    """Display `fig` once and close it.

    `alt` describes the picture for readers who cannot see it, and is not shown to others; `caption` is one short line
    below it for everyone.

    Raises
    ------
    ValueError
        `alt` says too little to replace the picture.
    """
    pictures.check_alt(alt)
    display({"text/html": pictures.single(fig, alt, caption), "text/plain": alt}, raw=True)


def scrub(figures: Mapping[str, "Figure"], *, label: str, start: str, alt: str, caption: str = "") -> None:
    """Display `figures` under a slider that the reader moves by mouse or arrow keys, and close them.

    `figures` maps what the slider says (`"16 ms"`) onto figures of one size, in the order of the slider; `label` says
    what it changes, `start` is shown at first, and is all that is shown where scripts do not run. `alt` describes the
    whole series. The pictures are stored as WebP, at the highest quality that fits into 200 kB.

    Raises
    ------
    ValueError
        `alt` says too little, `start` names no figure, the figures differ in size, or they do not fit into 200 kB.
    """
    pictures.check_alt(alt)
    display({"text/html": pictures.slider(figures, label, start, alt, caption), "text/plain": alt}, raw=True)


def play(x: np.ndarray, rate_hz: int, *, describe: str) -> None:
    """A player for `x` `(samples,)`, at its own level, with `describe` for readers who cannot hear it.

    Sounds are cut to 2 s and resampled to at most 16 kHz, because players are stored inside the notebook.

    Raises
    ------
    ValueError
        `x` is not one clip of finite samples, or exceeds ±1 and would be clipped; or `describe` says too little.
    """
    _check_description(describe)
    label = html.escape(describe, quote=True)
    display(HTML(f"<figure>{_player(x, rate_hz, label)}<figcaption>{label}</figcaption></figure>"))


def play_pair(sounds: Mapping[str, np.ndarray], rate_hz: int, *, describe: str) -> None:
    """Players for several `sounds` `(samples,)` side by side, to compare: `{name: x}`, each at its own level.

    `describe` says what differs, for readers who cannot hear it. Limits as for `play`.

    Raises
    ------
    ValueError
        Fewer than two sounds, or what `play` says of one.
    """
    _check_description(describe)
    if len(sounds) < 2:
        raise ValueError(f"play_pair compares at least two sounds, got {len(sounds)}; use play for one")
    label = html.escape(describe, quote=True)
    players = ""
    for name, x in sounds.items():
        shown = html.escape(name, quote=True)
        player = _player(x, rate_hz, f"{shown}: {label}")
        players += f'<div style="flex:1 1 16rem;max-width:30rem"><strong>{shown}</strong><br>{player}</div>'
    row = f'<div class="play-pair" style="display:flex;flex-wrap:wrap;gap:1rem">{players}</div>'
    display(HTML(f"<figure>{row}<figcaption>{label}</figcaption></figure>"))


def _check_description(describe: str) -> None:
    if len(describe.split()) < 4:
        raise ValueError(
            f"describe={describe!r}: say what is heard, in at least four words, for people who cannot hear it"
        )


def _player(x: np.ndarray, rate_hz: int, label: str) -> str:
    """HTML of one player, called `label` (already escaped)."""
    x = np.asarray(x, dtype=np.float32)
    if x.ndim != 1 or not x.size or not np.isfinite(x).all():
        raise ValueError(f"play needs one clip of finite samples, got shape {x.shape}")
    peak = float(np.abs(x).max())
    if peak > 1.001:
        raise ValueError(f"peak {peak:.2f} is beyond 1 and would be clipped; scale the sound down first")
    if rate_hz > PLAYER_RATE_HZ:
        import soxr

        x, rate_hz = soxr.resample(x, rate_hz, PLAYER_RATE_HZ), PLAYER_RATE_HZ
    data = io.BytesIO()
    x = x[: timebase.seconds_to_samples(PLAYER_LIMIT_S, rate_hz)]
    soundfile.write(data, np.clip(x, -1, 1), rate_hz, format="WAV", subtype="PCM_16")
    source = "data:audio/wav;base64," + base64.b64encode(data.getvalue()).decode()
    return f'<audio controls preload="none" aria-label="{label}" src="{source}"></audio>'


# --- Predictions

_predictions: dict[str, float | str] = {}  # of this kernel, by the number that `predict` and `answer` share


def predict(number: str, prediction: float | str | EllipsisType, question: str) -> None:
    """Keep the learner's `prediction`, a number or a word, for `answer(number, ...)` further below.

    The learner's copy has `...`, which is no prediction: nothing fails without one, and it is not graded.
    """
    _predictions.pop(number, None)
    if prediction is Ellipsis or prediction is None:
        say(f"**{number}** {question} *Replace the `...` with your prediction and run the cell again.*")
        return
    if isinstance(prediction, bool) or not isinstance(prediction, int | float | str | np.number):
        say(f"**{number}** A prediction is a number, or a word in quotes; this is a `{type(prediction).__name__}`.")
        return
    _predictions[number] = prediction.item() if isinstance(prediction, np.number) else prediction
    say(f"**{number}** {question} You predict **{_in_words(prediction)}**.")


def answer(number: str, value: float | str, *, unit: str = "", within: float = 0.0) -> None:
    """Display what the run found beside the learner's prediction of the same `number`.

    A prediction counts as right if it lies within the fraction `within` of `value`; words are compared without regard
    to case.
    """
    found = f"{_in_words(value)} {unit}".strip()
    if number not in _predictions:
        say(f"No prediction entered. It is {found}.")
        return
    prediction = _predictions[number]
    if _agrees(prediction, value, within):
        say(f"You predicted {_in_words(prediction)}, and that is right: it is {found}.")
    else:
        say(f"You predicted {_in_words(prediction)}; it is {found}.")


def _agrees(prediction: float | str, value: float | str, within: float) -> bool:
    if isinstance(value, str):
        return _as_word(prediction) == _as_word(value)
    try:
        return math.isclose(float(prediction), float(value), rel_tol=0, abs_tol=within * abs(value) + 1e-9)
    except ValueError:  # a word where a number is the answer
        return False


def _as_word(given: object) -> str:
    if isinstance(given, float):
        given = f"{given:g}"
    return str(given).strip().casefold().replace("_", " ")


def _in_words(value: float | str) -> str:
    """A number as a sentence shows it: whole numbers in full, others to three digits."""
    if isinstance(value, str):
        return value
    if float(value).is_integer() or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


# --- Sentences and numbers


def say(text: str) -> None:
    """Display a sentence in Markdown; for sentences with numbers from this run."""
    display(Markdown(text))


def record(
    name: str,
    value: float | int | str,
    *,
    unit: str = "",
    kind: str = "band",
    rel: float | None = None,
    step: float | None = None,
) -> None:
    """Display a result and store it in the cell's output, where the runner reads it.

    `kind` says how a later run is judged: `exact` (shapes, counts), `rel` (deterministic signal processing, within the
    fraction `rel`), `band` (anything trained or drawn; the band is measured over seeds), `effect` (a band with its mean
    and standard deviation, see `conclude`), `info` (times; never judged). A band of a share of clips also has `step`,
    what one clip is worth in the unit of the value: 100 / n for an accuracy in % of n clips. Another machine may
    classify one clip differently, and no band is narrower than that.

    Raises
    ------
    ValueError
        An unknown kind, the kind `rel` without a tolerance, a `step` for anything but a band or an effect, or not above
        0 and finite, or a value that is neither a finite number nor a text.
    """
    entry = _entry(name, value, unit, kind, rel, step)
    shown = f"{entry['value']:.6g}" if isinstance(entry["value"], float) else str(entry["value"])
    display({"text/plain": f"{name} = {shown} {unit}".rstrip(), RECORD_MIME: entry}, raw=True)


def conclude(
    name: str,
    value: float,
    *,
    unit: str = "",
    if_clear: str,
    if_not: str,
    step: float | None = None,
    dataset: str | None = None,
) -> None:
    """Record the effect `name` and show one sentence about it: what it means, or that this run cannot tell.

    `if_clear` is shown if `value` is at least three standard deviations away from zero, on the same side as the mean;
    mean and standard deviation over seeds are on file in `tests/expected/`, for this profile and data set. Without a
    measurement (your own sounds, or an installation without the course), or if no seed changes the value, `if_not` is
    shown: for a value without a seed, give an interval over sources instead. A `smoke` run says that it draws no
    conclusion, and its number is not judged. `step` is as in `record`.

    Profile and data set are the variables `profile` and `dataset` of the notebook, which its `parameters` cell sets;
    the name of an effect is unique in the course, so nothing else is needed to find it. If an effect does not depend on
    the notebook's data set, as on the timing probe, the argument `dataset` names the one whose values are on file.
    """
    shell = get_ipython()
    variables = shell.user_ns if shell is not None else {}
    profile = str(variables.get("profile", ""))
    # After a dozen steps, rounding alone may move a network's number out of any band: in smoke it is not judged
    kind, step = ("info", None) if profile == "smoke" else ("effect", step)
    entry = _entry(name, value, unit, kind, None, step)
    dataset = str(variables.get("dataset", "")) if dataset is None else dataset
    if profile == "smoke":
        sentence = SMOKE
    elif expected.is_clear(entry["value"], expected.effect(profile, dataset, name)):
        sentence = if_clear
    else:
        sentence = if_not
    display({"text/markdown": sentence, "text/plain": sentence, RECORD_MIME: entry}, raw=True)


def _entry(
    name: str, value: float | int | str, unit: str, kind: str, rel: float | None, step: float | None
) -> dict[str, object]:
    """What `record` stores; whatever could not be judged is refused."""
    if kind not in KINDS or (kind == "rel") != (rel is not None):
        raise ValueError(
            f"record({name!r}): kind is one of {', '.join(KINDS)}, with rel= only for 'rel'; got {kind}, {rel}"
        )
    if step is not None and (kind not in OF_SEEDS or not 0 < step < math.inf):
        raise ValueError(f"record({name!r}): step= is above 0, finite and only for {OF_SEEDS}; got {step} for {kind}")
    value = value.item() if hasattr(value, "item") else value
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(f"record({name!r}): {value!r} is not a number or a text")
    if kind == "effect" and isinstance(value, str):
        raise ValueError(f"record({name!r}): an effect is a number, got {value!r}")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"record({name!r}): the value is {value}; a result must be finite")
    entry = {"name": name, "value": value, "unit": unit, "kind": kind}
    if rel is not None:
        entry["rel"] = rel
    if step is not None:
        entry["step"] = float(step)
    return entry


def records(notebook: dict) -> dict[str, dict]:
    """Everything recorded in an executed notebook, by name.

    Raises
    ------
    ValueError
        A name was recorded twice: one of the two would be lost.
    """
    found: dict[str, dict] = {}
    for cell in notebook["cells"]:
        if cell.get("cell_type", "code") != "code":
            continue  # it was not executed, whatever it holds
        for output in cell.get("outputs", []):
            entry = output.get("data", {}).get(RECORD_MIME)
            if entry is None:
                continue
            entry = json.loads(entry) if isinstance(entry, str) else dict(entry)
            if entry["name"] in found:
                raise ValueError(f"{entry['name']!r} is recorded twice")
            found[entry["name"]] = entry
    return found


def seed_everything(seed: int) -> np.random.Generator:
    """Seed torch (if it is in use) and return numpy's generator for `seed`."""
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.manual_seed(seed)
    return np.random.default_rng(seed)

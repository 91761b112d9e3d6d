"""What a notebook calls to talk to its reader: `show` a figure, `play` a sound, `say` a sentence, `record` a number."""

import base64
import html
import io
import json
import math
import sys
from typing import TYPE_CHECKING

import numpy as np
import soundfile
from IPython.display import HTML, Markdown, display

from course_lib.audio import timebase

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RECORD_MIME = "application/vnd.course.record+json"
KINDS = ("exact", "rel", "band", "info")
PLAYER_RATE_HZ, PLAYER_LIMIT_S = 16_000, 2.0


def show(fig: "Figure", *, alt: str) -> None:
    """Display `fig` once, with `alt` both as the picture's text and as a caption below it.

    The caption is there because the usual exports drop the alternative text of pictures.

    Raises
    ------
    ValueError
        `alt` says too little to stand for the picture.
    """
    import matplotlib.pyplot as plt
    from PIL import Image

    if len(alt.split()) < 6:
        raise ValueError(f"alt={alt!r}: say what is seen, in at least six words (axes, shape, the number that matters)")
    full, small = io.BytesIO(), io.BytesIO()
    fig.savefig(full, format="png", dpi=100, bbox_inches="tight")
    plt.close(fig)
    # 256 colours are enough for any figure here, and make a notebook a third of its size
    Image.open(full).convert("RGB").quantize(256).save(small, format="png", optimize=True)
    encoded = base64.b64encode(small.getvalue()).decode()
    display({"image/png": encoded, "text/plain": alt}, raw=True, metadata={"image/png": {"alt": alt}})
    display(Markdown(f"*{alt}*"))


def play(x: np.ndarray, rate_hz: int, *, describe: str) -> None:
    """A player for `x` `(samples,)`, at its own level, with `describe` for readers who cannot hear it.

    Longer sounds are cut to 2 s and higher rates brought to 16 kHz: players are stored inside the notebook.

    Raises
    ------
    ValueError
        `x` is not one clip of finite samples, or goes beyond ±1 and would be clipped; or `describe` says too little.
    """
    if len(describe.split()) < 4:
        raise ValueError(
            f"describe={describe!r}: say what is heard, in at least four words, for those who cannot hear it"
        )
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
    label = html.escape(describe, quote=True)
    player = f'<audio controls preload="none" aria-label="{label}" src="{source}"></audio>'
    display(HTML(f"<figure>{player}<figcaption>{label}</figcaption></figure>"))


def say(text: str) -> None:
    """Display a sentence in Markdown; for sentences that hold numbers found a moment ago."""
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
    fraction `rel`), `band` (anything trained or drawn; the band is measured over seeds), `info` (times; never judged).
    A band of a share of clips also has `step`, what one clip is worth in the unit of the value: 100 / n for an accuracy
    in % of n clips. Another machine may hear one clip otherwise, and no band is narrower than that.

    Raises
    ------
    ValueError
        An unknown kind, a `rel` without tolerance, a `step` of anything but a band or not above 0 and finite, or a
        value that is not a finite number or a text.
    """
    if kind not in KINDS or (kind == "rel") != (rel is not None):
        raise ValueError(
            f"record({name!r}): kind is one of {', '.join(KINDS)}, with rel= for 'rel' alone; got {kind}, {rel}"
        )
    if step is not None and (kind != "band" or not 0 < step < math.inf):
        raise ValueError(f"record({name!r}): step= is above 0, finite and for 'band' alone; got {step} for {kind}")
    value = value.item() if hasattr(value, "item") else value
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(f"record({name!r}): {value!r} is not a number or a text")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"record({name!r}): the value is {value}; a result must be finite")
    entry = {"name": name, "value": value, "unit": unit, "kind": kind} | ({"rel": rel} if rel is not None else {})
    entry |= {"step": float(step)} if step is not None else {}
    shown = f"{value:.6g}" if isinstance(value, float) else str(value)
    display({"text/plain": f"{name} = {shown} {unit}".rstrip(), RECORD_MIME: entry}, raw=True)


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

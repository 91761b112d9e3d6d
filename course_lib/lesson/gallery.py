"""A gallery: one small spectrogram with a player for each of several sounds, as one piece of HTML."""

import base64
import html
import io
from collections.abc import Callable, Mapping

import numpy as np
import soundfile
from IPython.display import HTML, display

from course_lib.audio import timebase

THUMBNAIL = (240, 120)  # pixels, width and height
FRAME_S = 0.016
RANGE_DB = 60.0


def gallery(sounds: Mapping[str, np.ndarray], rate_hz: int) -> None:
    """Display `sounds` `{name: x (samples,)}` in a grid: a spectrogram up to half the rate, the name, a player.

    Each sound is played at its own level and stored as MP3 (a tenth of the size of WAV), so that ten fit into a
    notebook. Names are shown with spaces for underscores. Notebook: 00.

    Raises
    ------
    ValueError
        No sounds, or one that is not one clip of finite samples within ±1.
    """
    if not sounds:
        raise ValueError("gallery: no sounds to show")
    cards = "".join(_card(name.replace("_", " "), x, rate_hz) for name, x in sounds.items())
    grid = "display:grid;grid-template-columns:repeat(auto-fill,minmax(11rem,1fr));gap:1rem"
    display(HTML(f'<div class="gallery" style="{grid}">{cards}</div>'))


def _card(name: str, x: np.ndarray, rate_hz: int) -> str:
    x = np.asarray(x, dtype=np.float32)
    if x.ndim != 1 or not x.size or not np.isfinite(x).all() or np.abs(x).max() > 1.001:
        raise ValueError(f"gallery: {name!r} is not one clip of finite samples within ±1, its shape is {x.shape}")
    shown = html.escape(name, quote=True)
    length_s = len(x) / rate_hz
    picture = (
        f"Spectrogram of {length_s:.1f} s labelled {shown}, time to the right, 0 to {rate_hz / 2000:g} kHz upwards"
    )
    image = f'<img alt="{picture}" style="width:100%" src="{_thumbnail(x, rate_hz)}">'
    heard = f"{length_s:.1f} s of a clip labelled {shown}"
    player = f'<audio controls preload="none" style="width:100%" aria-label="{heard}" src="{_mp3(x, rate_hz)}"></audio>'
    return f'<figure style="margin:0">{image}<figcaption>{shown}</figcaption>{player}</figure>'


def _thumbnail(x: np.ndarray, rate_hz: int) -> str:
    """Data URL of a WebP of the spectrogram of `x`, the loudest `RANGE_DB` from dark to light."""
    import matplotlib as mpl
    from PIL import Image
    from scipy import signal

    window = min(len(x), timebase.seconds_to_samples(FRAME_S, rate_hz))
    _, _, power = signal.spectrogram(x, rate_hz, nperseg=window, noverlap=window // 2)
    levels_db = 10 * np.log10(power + 1e-12)
    shades = np.clip((levels_db - levels_db.max()) / RANGE_DB + 1, 0, 1)[::-1]
    pixels = (255 * mpl.colormaps["magma"](shades)[..., :3]).astype(np.uint8)
    return _address("image/webp", lambda file: Image.fromarray(pixels).resize(THUMBNAIL).save(file, format="webp"))


def _mp3(x: np.ndarray, rate_hz: int) -> str:
    """Data URL of `x` as MP3."""
    return _address("audio/mpeg", lambda file: soundfile.write(file, x, rate_hz, format="MP3"))


def _address(kind: str, write: Callable[[io.BytesIO], object]) -> str:
    """What `write` puts into a file, as a data URL."""
    data = io.BytesIO()
    write(data)
    return f"data:{kind};base64," + base64.b64encode(data.getvalue()).decode()

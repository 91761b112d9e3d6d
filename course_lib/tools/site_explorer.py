"""The explorer, a page of the site: what its scripts need from the library, and the page put together from `site/`.

The page does its own arithmetic, in `site/sound.js`, so that it runs in a browser without a server. Constants, sounds,
colours and costs come from here, and a test compares its frames and log-mels with `course_lib.audio.features`.
"""

import base64
import json
from pathlib import Path

import numpy as np

from course_lib.audio import synth10
from course_lib.audio.features import FeatureSpec
from course_lib.audio.timebase import seconds_to_samples

RATE_HZ = 16_000
NEAR_TONES_HZ = (600, 1400)
CLICKS_S, TONES_HZ, SWING_HZ = (0.14, 0.16), (1000.0, 1060.0), 60.0
LABELS = 10  # classes of the network whose cost is counted
# Excerpts of made clips with little background: class, number of the clip, first second, last second, name, description
EXCERPTS = (
    ("rooster", 1, 0.0, 1.8, "Rooster", "a rooster's crow: three short notes, then a long one that falls"),
    ("dog", 6, 1.0, 3.0, "Dog", "a dog that barks"),
    ("clock_tick", 1, 0.0, 2.0, "Clock", "a clock that ticks about four times per second"),
    ("helicopter", 7, 0.0, 2.0, "Helicopter", "the pulses of a helicopter's rotor"),
)


def page(folder: Path) -> str:
    """Text of the page in MyST: `explorer.md` of `folder`, with its data and scripts in place of two marks.

    The scripts that also run in a worker are part of the page: a browser does not let a page opened from disk read
    files beside it, so the page hands its own text to the worker.
    """
    text = (folder / "explorer.md").read_text(encoding="utf-8")
    return text.replace("/* DATA */", json.dumps(data())).replace("/* SCRIPTS */", scripts(folder))


def scripts(folder: Path) -> str:
    """The FFT package, wrapped so that its `module.exports` becomes `FFT`, and the arithmetic of the page."""
    package = folder / "vendor" / "fft.js"
    licence = (package / "LICENSE").read_text(encoding="utf-8")
    fft = (package / "fft.js").read_text(encoding="utf-8")
    wrapped = f"const FFT = (function (module) {{\n{fft}\nreturn module.exports;\n}})({{}});\n"
    return f"/* fft.js\n\n{licence}*/\n{wrapped}\n{(folder / 'sound.js').read_text(encoding='utf-8')}"


def data() -> dict:
    """What the scripts take from the library: constants of the features, costs, colours, sounds."""
    spec = FeatureSpec(rate_hz=RATE_HZ)
    return {
        "spec": {
            "rateHz": spec.rate_hz, "nMels": spec.n_mels, "fminHz": spec.fmin_hz, "topHz": spec.top_hz,
            "floor": spec.floor,
        },
        "start": {"windowMs": spec.window_ms, "hopMs": spec.hop_ms},
        "macs": macs_by_frames(spec.n_mels),
        "colours": _encoded(colours()),
        "sounds": [{**about, "samples": _encoded(as_int16(x))} for about, x in sounds()],
    }  # fmt: skip


def sounds() -> list[tuple[dict, np.ndarray]]:
    """The sounds to choose from: what the page says about each, and its samples `(samples,)` within ±1 at 16 kHz.

    `showHz` are the lowest and the highest frequency to show, `rangeDb` the levels below the loudest that get a colour.
    `clicksS`, `tonesHz` and `swingHz` give the times of the two clicks, the frequencies of the two tones and the rate
    at which the loudness swings, where there are any.
    """
    clicks = two_clicks()
    tones = two_tones()
    near = {"showHz": NEAR_TONES_HZ, "rangeDb": 30}
    made = [
        (_about("both", "Two clicks and two tones", "two clicks 20 ms apart over two tones 60 Hz apart",
                clicksS=CLICKS_S, tonesHz=TONES_HZ, **near), tones + clicks),
        (_about("clicks", "Two clicks", "two clicks 20 ms apart", clicksS=CLICKS_S, **near), clicks),
        (_about("tones", "Two tones", "two tones 60 Hz apart, at 1,000 and 1,060 Hz", tonesHz=TONES_HZ, **near), tones),
        (_about("buzz", "Buzz", "a tone of 2 kHz whose loudness swings 60 times per second", swingHz=SWING_HZ,
                showHz=(0, 4000), rangeDb=30), buzz()),
    ]  # fmt: skip
    table = synth10.synth10_table(1 + max(number for _, number, *_ in EXCERPTS))
    natural = []
    for label, number, first_s, last_s, name, describe in EXCERPTS:
        row = table[table["label"] == label].iloc[[number]]
        x = synth10.synth10_waves(row)[0]
        excerpt = x[seconds_to_samples(first_s, RATE_HZ) : seconds_to_samples(last_s, RATE_HZ)]
        natural.append((_about(label, name, describe), 0.9 * excerpt / np.abs(excerpt).max()))
    return [*natural, *made]


def two_clicks() -> np.ndarray:
    """Silence of 0.3 s with two clicks of one sample each, 20 ms apart, shape `(samples,)`. Notebook: 01."""
    x = np.zeros(seconds_to_samples(0.3, RATE_HZ))
    for at_s in CLICKS_S:
        x[seconds_to_samples(at_s, RATE_HZ)] = 0.9
    return x


def two_tones() -> np.ndarray:
    """Two tones 60 Hz apart that last 0.3 s, shape `(samples,)`. Notebook: 01."""
    times_s = np.arange(seconds_to_samples(0.3, RATE_HZ)) / RATE_HZ
    return sum(0.02 * np.sin(2 * np.pi * hz * times_s) for hz in TONES_HZ)


def buzz() -> np.ndarray:
    """A 2 kHz tone whose loudness swings 60 times per second, 1 s, shape `(samples,)`. Notebook: 01."""
    times_s = np.arange(RATE_HZ) / RATE_HZ
    return 0.4 * (1 + np.cos(2 * np.pi * SWING_HZ * times_s)) * np.sin(2 * np.pi * 2000 * times_s)


def macs_by_frames(n_mels: int) -> dict:
    """Multiply-accumulates of the 7-layer CNN as an exact function of the number of frames.

    Four poolings halve the frames and round down, so the cost is `fixed` plus, for each level i, `perFrame[i]` times
    the frames divided by 2^i and rounded down. The coefficients are read off the library's own count; `fewest` is the
    smallest number of frames that the network takes.
    """
    import torch

    from course_lib.models.cnn import CNN
    from course_lib.training.cost import macs

    with torch.device("meta"):  # counted without computing
        net = CNN(LABELS)
    fewest = net.smallest
    least = macs(net, fewest, n_mels)
    per_frame: list[int] = []
    for level in range(fewest.bit_length()):
        # Of this many more frames, each lower level gets its share, this level 1 and the higher ones none
        more = 2**level
        grown = macs(net, fewest + more, n_mels) - least
        per_frame.append(grown - sum(each * (more >> i) for i, each in enumerate(per_frame)))
    fixed = least - sum(each * (fewest >> i) for i, each in enumerate(per_frame))
    return {"fewest": fewest, "fixed": fixed, "perFrame": per_frame}


def colours() -> np.ndarray:
    """The course's colour map from silent to loud, shape `(256, 3)`, bytes."""
    import matplotlib as mpl

    from course_lib import plots

    return mpl.colormaps[plots.STYLE["image.cmap"]](np.arange(256), bytes=True)[:, :3]


def as_int16(x: np.ndarray) -> np.ndarray:
    """Samples within ±1 as whole numbers of 16 bits, as in a WAV file."""
    return np.round(x * 32767).astype("<i2")


def _about(key: str, name: str, describe: str, **marks) -> dict:
    return {"key": key, "name": name, "describe": describe, **marks}


def _encoded(numbers: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(numbers).tobytes()).decode()

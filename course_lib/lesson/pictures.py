"""Figures as HTML: one picture, or several under a slider, with the alternative text only in the `alt` attribute.

The notebook in JupyterLab, the page of a run and the site all show the same HTML. `figure_in` reads it back.
"""

import base64
import html
import io
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from PIL.Image import Image

DPI = 100
FEWEST_WORDS = 6
LARGEST_SCRUB = 200_000  # bytes of HTML
QUALITIES = (85, 75, 65, 55, 45, 35)  # of lossy WebP, tried until all pictures fit

# Shows the chosen picture and its name. The pictures of a slider lie in one figure, in order.
MOVE = (
    "const f=this.closest('figure'),p=f.querySelectorAll('img'),n=p[this.value].dataset.name;"
    "p.forEach((q,k)=>{q.style.display=k==this.value?'':'none'});"
    "this.setAttribute('aria-valuetext',n);f.querySelector('.scrub-value').textContent=n"
)
# Runs once the first picture has loaded, and only where scripts run; without scripts no dead slider appears
REVEAL = "this.closest('figure').querySelector('input').style.display=''"


class Picture(NamedTuple):
    """What `show` put into a notebook: the PNG in base64, its alternative text, its caption (may be empty)."""

    png: str
    alt: str
    caption: str


def check_alt(alt: str) -> None:
    """Raises ValueError if `alt` says too little to stand for a picture."""
    if len(alt.split()) < FEWEST_WORDS:
        raise ValueError(f"alt={alt!r}: say what is seen, in at least six words (axes, shape, the number that matters)")


def single(fig: "Figure", alt: str, caption: str) -> str:
    """`fig` as one `<figure>`; the figure is closed."""
    small = io.BytesIO()
    # 256 colours are enough for any figure here, and reduce a notebook to a third of its size
    _drawn(fig, tight=True).quantize(256).save(small, format="png", optimize=True)
    encoded = base64.b64encode(small.getvalue()).decode()
    return f'<figure><img alt="{_escaped(alt)}" src="data:image/png;base64,{encoded}">{_caption(caption)}</figure>'


def figure_in(output: Mapping) -> Picture | None:
    """The picture that `show` left in an output of an executed notebook; None if the output is anything else."""
    page = "".join(output.get("data", {}).get("text/html", ""))
    found = re.match(r'<figure><img alt="([^"]*)" src="data:image/png;base64,([^"]+)">', page)
    if found is None:
        return None
    caption = re.search(r"<figcaption>(.*)</figcaption></figure>$", page, re.DOTALL)
    return Picture(found[2], html.unescape(found[1]), html.unescape(caption[1]) if caption else "")


def slider(figures: Mapping[str, "Figure"], label: str, start: str, alt: str, caption: str) -> str:
    """All `figures` under one `<input type="range">`, with `start` visible at first; the figures are closed.

    Raises
    ------
    ValueError
        `start` names none of the figures, they differ in size, or they take more than `LARGEST_SCRUB` bytes.
    """
    names = list(figures)
    if start not in figures:
        raise ValueError(f"start={start!r}: no figure of that name; there are {', '.join(names)}")
    images = [_drawn(fig, tight=False) for fig in figures.values()]
    if len({image.size for image in images}) > 1:
        raise ValueError("scrub: the figures differ in size, so the picture would jump; give all of them one figsize")
    lossless = [_webp(image.quantize(256).convert("RGB"), lossless=True) for image in images]
    for quality in QUALITIES:
        smallest = {}
        for name, image, exact in zip(names, images, lossless, strict=True):
            lossy = _webp(image, quality=quality)
            smallest[name] = min(exact, lossy, key=len)  # pictures of few colours are smaller in lossless WebP
        page = _slider_page(smallest, label, start, alt, caption)
        if len(page) <= LARGEST_SCRUB:
            return page
    raise ValueError(
        f"scrub: {len(names)} pictures take {len(page) / 1000:.0f} kB, at most {LARGEST_SCRUB / 1000:.0f} kB fit; "
        "draw fewer or smaller ones"
    )


def _slider_page(pictures: Mapping[str, bytes], label: str, start: str, alt: str, caption: str) -> str:
    names = list(pictures)
    rows = []
    for name, data in pictures.items():
        shown = f' onload="{REVEAL}"' if name == start else ' style="display:none"'
        source = "data:image/webp;base64," + base64.b64encode(data).decode()
        words = f"{_escaped(alt)} Shown: {_escaped(label)} {_escaped(name)}."
        rows.append(f'<img data-name="{_escaped(name)}" alt="{words}"{shown} src="{source}">')
    # otherwise JupyterLab would use the arrow keys itself
    control = (
        f'<input type="range" min="0" max="{len(names) - 1}" step="1" value="{names.index(start)}" '
        f'aria-label="{_escaped(label)}" aria-valuetext="{_escaped(start)}" oninput="{MOVE}" '
        'data-lm-suppress-shortcuts="true" style="display:none;width:min(100%,24rem);vertical-align:middle">'
    )
    value = f'{_escaped(label)}: <strong class="scrub-value">{_escaped(start)}</strong>'
    return (
        f'<figure class="scrub">{"".join(rows)}<div class="scrub-control">{control} {value}</div>'
        f"{_caption(caption)}</figure>"
    )


def _drawn(fig: "Figure", tight: bool) -> "Image":
    """`fig` as an RGB image; the figure is closed."""
    import matplotlib.pyplot as plt
    from PIL import Image

    full = io.BytesIO()
    fig.savefig(full, format="png", dpi=DPI, bbox_inches="tight" if tight else None)
    plt.close(fig)
    return Image.open(full).convert("RGB")


def _webp(image: "Image", **how: object) -> bytes:
    data = io.BytesIO()
    image.save(data, format="webp", method=4, **how)
    return data.getvalue()


def _caption(text: str) -> str:
    return f"<figcaption>{_escaped(text)}</figcaption>" if text else ""


def _escaped(text: str) -> str:
    return html.escape(text, quote=True)

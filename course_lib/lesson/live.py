"""A figure with a slider and a field for the learner's own sound, in a live kernel."""

import html
import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from IPython.display import Markdown, display

from course_lib.audio import io as audio_io
from course_lib.errors import CourseError, first_line
from course_lib.lesson import pictures

if TYPE_CHECKING:
    from ipywidgets import VBox
    from matplotlib.figure import Figure

EXECUTED = "COURSE_EXECUTES"  # environment variable of every kernel that `course run` starts
NEEDS_KERNEL = "*With a live kernel, in JupyterLab, a slider and a field for your own sound appear here.*"
LONGEST_S, SHORTEST_S = 5.0, 0.2
SILENCE = 1e-4  # a peak below this, with full scale at 1, counts as silence
FORMATS = "WAV, FLAC, OGG or MP3"


def live(
    draw: Callable[[np.ndarray, int, float], "Figure"],
    *,
    label: str,
    values: Sequence[float],
    sound: np.ndarray,
    rate_hz: int,
) -> None:
    """Show `draw(x, rate_hz, value)` under a slider over `values`, for `sound` `(samples,)` or the learner's own.

    The learner uploads a sound or gives the path of one; its first 5 s are used, mono, at `rate_hz`. If a sound cannot
    be used, one line says why and the picture stays. When a program executes the notebook, only a line is shown, which
    says that this needs a live kernel: use `scrub` for what everyone should see.
    """
    if os.environ.get(EXECUTED):
        display(Markdown(NEEDS_KERNEL))
        return
    panel = _panel(draw, label, values, sound, rate_hz)
    widget = panel._repr_mimebundle_()
    # Programs without widgets show the line
    display(widget | {"text/plain": NEEDS_KERNEL.strip("*")}, raw=True)


def own_sound(path: Path, rate_hz: int) -> np.ndarray:
    """The first 5 s of the sound file `path`, `(samples,)`, float32 mono at `rate_hz`.

    Raises
    ------
    CourseError
        It cannot be read, is shorter than 0.2 s, or silent.
    """
    stored_hz, n_samples = audio_io.probe(path)
    length_s = n_samples / stored_hz
    if length_s < SHORTEST_S:
        raise CourseError(f"{path.name}: lasts {1000 * length_s:.0f} ms; a sound needs at least {SHORTEST_S:g} s")
    x, _ = audio_io.read(path, rate_hz, min(length_s, LONGEST_S), start_s=0.0, cancelled=[])
    peak = float(np.abs(x).max())
    if peak < SILENCE:
        raise CourseError(f"{path.name}: is silent in its first {min(length_s, LONGEST_S):.1f} s; choose another sound")
    return x


def _panel(draw: Callable, label: str, values: Sequence[float], sound: np.ndarray, rate_hz: int) -> "VBox":
    """The widgets: slider, path, upload, a line for what went wrong, the picture."""
    import ipywidgets as widgets

    wide = widgets.Layout(width="28rem")
    slider = widgets.SelectionSlider(
        options=[(f"{value:g}", value) for value in values],
        value=values[len(values) // 2],
        description=label,
        continuous_update=False,
        style={"description_width": "initial"},
        layout=wide,
    )
    path = widgets.Text(
        description="your sound",
        placeholder=f"path of a {FORMATS} file, then Enter",
        continuous_update=False,
        style={"description_width": "initial"},
        layout=wide,
    )
    upload = widgets.FileUpload(accept=".wav,.flac,.ogg,.mp3", multiple=False, description="or upload one")
    line, picture = widgets.HTML(), widgets.HTML()
    state = {"sound": sound, "name": "the course's sound"}

    def redraw(x: np.ndarray, name: str) -> None:
        """Draw `x`; only if that works does it become the sound of the slider."""
        try:
            fig = draw(x, rate_hz, slider.value)
            alt = f"The figure above for {name}, with {label} at {slider.value:g}."
            picture.value = pictures.single(fig, alt, "")
        except Exception as error:  # whatever goes wrong, the old picture stays
            line.value = html.escape(f"{name} cannot be drawn: {first_line(error)}")
            return
        state.update(sound=x, name=name)
        line.value = html.escape(f"Shown: {name}")

    def use(file: Path, name: str) -> None:
        try:
            x = own_sound(file, rate_hz)
        except CourseError as error:
            line.value = html.escape(str(error))
            return
        redraw(x, name)

    def on_path(change: dict) -> None:
        if change["new"].strip():
            file = Path(change["new"].strip().strip("\"'")).expanduser()
            use(file, file.name)

    def on_upload(change: dict) -> None:
        for given in change["new"]:
            with tempfile.TemporaryDirectory() as folder:
                file = Path(folder) / Path(given["name"]).name
                file.write_bytes(bytes(given["content"]))
                use(file, file.name)

    slider.observe(lambda change: redraw(state["sound"], state["name"]), "value")
    path.observe(on_path, "value")
    upload.observe(on_upload, "value")
    redraw(sound, state["name"])
    return widgets.VBox([slider, widgets.HBox([path, upload]), line, picture])

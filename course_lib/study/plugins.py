"""Models and frame reducers of the user's own: a Python file that a grid names as `plugin`.

The file has `MODELS`, `REDUCERS`, or both: dictionaries from a name to a function as `classifier.register_model` and
`register_reducer` take it. Rows that use one of its names keep the hash of the file, which is part of their key. The
file itself is copied into the folder of the run, where workers on other machines find it.
"""

import hashlib
import sys
import types
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from course_lib.errors import UsageError
from course_lib.models import classifier
from course_lib.paths import atomic_write


@dataclass(frozen=True)
class Plugin:
    """A file of the user's that was read, under the hash of its text."""

    digest: str
    text: str
    models: dict
    reducers: dict

    def serves(self, fields: Mapping[str, object]) -> bool:
        """Whether a run with these fields needs this file."""
        reducer, _, _ = str(fields.get("frame_reducer", "")).partition(":")
        return fields.get("model") in self.models or reducer in self.reducers

    def register(self) -> None:
        """Let the names of this file mean what it says, whatever other plugins made of them."""
        for name, make in self.models.items():
            classifier.register_model(name, make)
        for name, make in self.reducers.items():
            classifier.register_reducer(name, make)


_read: dict[str, Plugin] = {}


def read(path: Path) -> Plugin:
    """The plugin in `path`, its names registered.

    Raises
    ------
    UsageError
        The file cannot be read or run, has neither `MODELS` nor `REDUCERS`, or a name that the course has already.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"plugin {path}: cannot be read: {error}") from None
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    if digest not in _read:
        module = types.ModuleType(f"course_plugin_{digest}")
        module.__file__ = str(path)
        sys.modules[module.__name__] = module
        try:
            exec(compile(text, path, "exec"), module.__dict__)
        except Exception as error:  # whatever the user's code raises
            line = (str(error).splitlines() or ["no message"])[0]
            raise UsageError(f"plugin {path}: cannot be imported: {type(error).__name__}: {line}") from None
        models, reducers = getattr(module, "MODELS", {}), getattr(module, "REDUCERS", {})
        if not isinstance(models, dict) or not isinstance(reducers, dict) or not (models or reducers):
            raise UsageError(f"plugin {path}: expected a dictionary MODELS or REDUCERS, from names to functions")
        _read[digest] = Plugin(digest, text, models, reducers)
    try:
        _read[digest].register()
    except UsageError as error:
        raise UsageError(f"plugin {path}: {error}") from None
    return _read[digest]


def use(digest: str) -> None:
    """Let names of models and reducers mean those of the plugin `digest`, which was read; `none` changes nothing."""
    if digest != "none":
        _read[digest].register()


def keep(digest: str, folder: Path) -> None:
    """Copy the plugin `digest`, which was read, into the folder of a run; nothing for `none`."""
    if digest != "none":
        (folder / "plugins").mkdir(exist_ok=True)
        atomic_write(folder / "plugins" / f"{digest}.py", _read[digest].text)


def read_kept(digest: str, folder: Path) -> None:
    """`read` what `keep` put into the folder of a run; nothing for `none`. Errors as `read`."""
    if digest != "none":
        read(folder / "plugins" / f"{digest}.py")

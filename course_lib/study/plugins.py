"""User-defined models and frame reducers: a Python file that a grid names as `plugin`.

The file defines `MODELS`, `REDUCERS`, or both: dictionaries from names to functions, as `classifier.register_model` and
`register_reducer` take them. Rows that use one of these names record the hash of the file, which is part of their key.
The file itself is copied into the folder of the run, where workers on other machines find it.
"""

import hashlib
import sys
import types
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from course_lib.errors import UsageError, first_line
from course_lib.models import classifier
from course_lib.paths import atomic_write


@dataclass(frozen=True)
class Plugin:
    """A plugin file that has been read, identified by the hash of its text."""

    digest: str
    text: str
    models: dict
    reducers: dict

    def serves(self, fields: Mapping[str, object]) -> bool:
        """Whether a run with these fields needs this file."""
        reducer, _, _ = str(fields.get("frame_reducer", "")).partition(":")
        return str(fields.get("model")) in self.models or reducer in self.reducers

    def register(self) -> None:
        """Register the names in this file, replacing those of other plugins."""
        for name, make in self.models.items():
            classifier.register_model(name, make)
        for name, make in self.reducers.items():
            classifier.register_reducer(name, make)


_read: dict[str, Plugin] = {}


def read(path: Path) -> Plugin:
    """The plugin in `path`, with its names registered.

    Raises
    ------
    UsageError
        The file cannot be read or run, has neither `MODELS` nor `REDUCERS`, or uses a name that the course already has.
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
            line = first_line(error, "no message")
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
    """Register the names of the plugin `digest`, which must have been read; `none` changes nothing."""
    if digest != "none":
        _read[digest].register()


def keep(digest: str, folder: Path) -> None:
    """Copy the plugin `digest`, which must have been read, into the folder of a run; `none` copies nothing."""
    if digest != "none":
        (folder / "plugins").mkdir(exist_ok=True)
        atomic_write(folder / "plugins" / f"{digest}.py", _read[digest].text)


def read_kept(digest: str, folder: Path) -> None:
    """Read the plugin that `keep` copied into the folder of a run; `none` reads nothing. Errors as in `read`."""
    if digest != "none":
        read(folder / "plugins" / f"{digest}.py")

"""One function that turns the name of a data set, or the path of your own list of sounds, into `Clips`."""

from pathlib import Path

from course_lib.datasets import fetch, folds, registry
from course_lib.datasets.clips import Clips
from course_lib.datasets.esc import esc10, esc50
from course_lib.datasets.files import clips_from_files
from course_lib.datasets.fsd50k import fsd50k
from course_lib.datasets.fsdd import fsdd
from course_lib.datasets.manifest import load_manifest
from course_lib.datasets.nsynth import nsynth
from course_lib.datasets.speechcommands import speechcommands
from course_lib.datasets.urbansound8k import urbansound8k
from course_lib.errors import CourseError
from course_lib.profiles import Profile

TABLES = {table.__name__: table for table in (esc10, esc50, fsdd, urbansound8k, speechcommands, nsynth, fsd50k)}


def load(dataset: str, profile: Profile, seed: int = 0) -> Clips:
    """The clips of `dataset`: a name from the registry, or the path of a manifest (see `manifest.py`).

    At most as many clips a class as `profile` says, drawn by `seed`, spread over the folds. Nothing is downloaded here;
    a set that lies in the mirror is unpacked.

    Raises
    ------
    UsageError
        No such data set.
    CourseError
        The set is not on this machine (the line says how to get it), or its files or the manifest are at fault.
    """
    name = str(dataset)
    if name.lower().endswith(".csv") or Path(name).is_file():
        return load_manifest(name, profile.real_clips_per_class, seed)
    e = registry.entry(name)
    if e.embedded:
        return _embedded(name, profile, seed)
    folder = fetch.get(name, network=False)
    table = TABLES[name](folder)
    if len(table) != e.clips:
        raise CourseError(f"{folder}: has {len(table)} clips, expected {e.clips}; run: course data get {name} --force")
    table = folds.thin_out(table, profile.real_clips_per_class, seed)
    return clips_from_files(name, table, folder, e.length_s, e.rate_hz, fetch.content(name))


def _embedded(name: str, profile: Profile, seed: int) -> Clips:
    """A data set that the course makes."""
    from course_lib.datasets import embedded  # brings the synthesis, which no other data set needs

    make = {"synth10": embedded.load_synth10, "timing": embedded.load_timing}[name]
    return make(profile.clips_per_class, seed)

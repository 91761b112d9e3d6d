"""A grid of runs from a TOML file, checked before anything is trained.

`[common]` holds what all runs share, every `[[part]]` what is its own. A list is crossed with all others of its part;
`cases`, a list of tables, ties fields that change together. Names are those of `config.FIELDS`.
"""

import difflib
import itertools
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from course_lib import paths
from course_lib.audio import timebase
from course_lib.audio.features import mel_bank, padded_window
from course_lib.data import download, folds, registry
from course_lib.data.clips import Clips
from course_lib.errors import CourseError, UsageError
from course_lib.scenes.load import is_real
from course_lib.study import config
from course_lib.study.config import SPECS, Run, RunSpec, SceneRun

TOP = ("about", "task", "against", "common", "part")
LIST = ("about", "include")


@dataclass(frozen=True)
class Grid:
    """The runs of a file. `parts` are pairs of a name and its runs; a run may be in several parts, under one key.

    `against` are the fields of the condition that a report compares with; none is the first of each part.
    """

    name: str
    path: Path
    parts: tuple[tuple[str, tuple[Run, ...]], ...]
    about: str = ""
    task: str = "clips"
    against: Mapping[str, object] = field(default_factory=dict)

    @property
    def specs(self) -> list[Run]:
        """Every run once, in the order of the file."""
        return list({s.key: s for _, runs in self.parts for s in runs}.values())


def find(name: str) -> Path:
    """The file of a grid: a path, or the name of one in `study/grids`.

    Raises
    ------
    UsageError
        There is neither.
    """
    path = Path(name).expanduser()
    if path.is_file():
        return path.resolve()
    folder = paths.grids_dir()
    if (folder / f"{name}.toml").is_file():
        return folder / f"{name}.toml"
    known = ", ".join(sorted(p.stem for p in folder.glob("*.toml")))
    raise UsageError(f"grid {name!r}: no such file, and none of that name in {folder}; there are {known or 'none'}")


def listed(name: str) -> list[Path]:
    """The files of the grids that `name` stands for: those that it lists under `include`, in that order, or its own.

    Raises
    ------
    UsageError
        As `find`; a list that holds more than `about` and `include`, names nothing, or names a list.
    """
    path = find(name)
    tables = _tables(path)
    if "include" not in tables:
        return [path]
    _known(str(path), tables, LIST)
    names = tables["include"]
    if not isinstance(names, list) or not names or not all(isinstance(n, str) for n in names):
        raise UsageError(f"{path}: include: found {names!r}, expected a list of names of grids")
    found = [find(n) for n in names]
    for inner in found:
        if "include" in _tables(inner):
            raise UsageError(f"{path}: include: {inner.stem} is a list itself; name its grids here")
    return found


def _tables(path: Path) -> dict:
    """What a file holds, as TOML."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{path}: cannot be read as TOML: {error}") from error


def read(path: Path) -> Grid:
    """The grid in `path`, every field known and of its type.

    Raises
    ------
    UsageError
        It is no TOML, or a key or value is wrong: file, part and key, what was found, what was expected.
    """
    tables = _tables(path)
    _known(str(path), tables, TOP)
    parts = tables.get("part", [])
    if not isinstance(parts, list) or not parts or not all(isinstance(p, dict) for p in parts):
        raise UsageError(f"{path}: part: found none, expected one or more tables [[part]], each with a name")
    task = tables.get("task", "clips")
    _known(f"{path}: task", [str(task)], list(SPECS), "task")
    common = _settings(f"{path}: common", tables.get("common", {}), SPECS[task])
    against = _settings(f"{path}: against", tables.get("against", {}), SPECS[task])
    found: dict[str, tuple[Run, ...]] = {}
    for place, part in enumerate(parts, 1):
        name = part.get("name")
        if not isinstance(name, str) or not name or name in found:
            raise UsageError(f"{path}: part {place}: name: found {name!r}, expected a name that no other part has")
        where = f"{path}: part {name!r}"
        found[name] = tuple({run.key: run for run in _runs(where, common, part, SPECS[task])}.values())
    against = {key: config.typed(key, values[0], SPECS[task]) for key, values in against.items()}
    return Grid(path.stem, path, tuple(found.items()), str(tables.get("about", "")), task, against)


def _known(where: str, given: Iterable[str], known: Sequence[str], what: str = "key") -> None:
    """Raise for the first key of `given` that is none of `known`, with the nearest."""
    for key in given:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]}?" if near else f"expected one of {', '.join(known)}"
            raise UsageError(f"{where}: {key}: unknown {what}; {hint}")


def _settings(where: str, table: object, kind: type) -> dict[str, list]:
    """Every field that `table` sets with the list of its values; nested tables and dotted names mean the same."""
    if not isinstance(table, dict):
        raise UsageError(f"{where}: found {table!r}, expected a table")
    flat: dict[str, object] = {}
    for key, value in table.items():
        inner = {f"{key}.{k}": v for k, v in value.items()} if isinstance(value, dict) else {key: value}
        inner = {config.current_name(name): v for name, v in inner.items()}
        if inner.keys() & flat.keys():
            raise UsageError(f"{where}: {key}: set twice")
        flat |= inner
    _known(where, flat, config.field_names(kind))
    lists = {key: value if isinstance(value, list) else [value] for key, value in flat.items()}
    for key, values in lists.items():
        if not values:
            raise UsageError(f"{where}: {key}: found an empty list, expected at least one value")
        for value in values:
            try:
                config.typed(key, value, kind)
            except ValueError as error:
                raise UsageError(f"{where}: {error}") from None
    return lists


def _runs(where: str, common: dict[str, list], part: dict, kind: type) -> Iterator[Run]:
    """Runs of one part: its lists crossed, once for each of its cases."""
    own = _settings(where, {k: v for k, v in part.items() if k not in ("name", "cases")}, kind)
    cases = part.get("cases", [{}])
    if not isinstance(cases, list) or not cases:
        raise UsageError(f"{where}: cases: found {cases!r}, expected a list of tables")
    for case in cases:
        tied = _settings(f"{where}: cases", case, kind)
        twice = sorted(tied.keys() & own.keys())
        if twice:
            raise UsageError(f"{where}: {twice[0]}: set both in the part and in its cases")
        lists = common | own | tied
        for values in itertools.product(*lists.values()):
            try:
                yield config.from_dict(dict(zip(lists, values, strict=True)), kind)
            except ValueError as error:
                raise UsageError(f"{where}: {error}") from None


def check(grid: Grid) -> None:
    """Find out before training what would stop a run: no data, no such fold, a hop or a network that does not fit.

    Raises
    ------
    CourseError
        A data set is not on this machine.
    UsageError
        A run cannot be made; the line names file, part and key.
    """
    from course_lib.study.clip_run import clips_of  # torch and the data sets, which reading a grid need not wait for

    taken: set[tuple] = set()
    for name, runs in grid.parts:
        where = f"{grid.path}: part {name!r}"
        for spec in runs:
            if (spec.dataset, "present") not in taken:
                _check_present(where, spec.dataset)
                taken.add((spec.dataset, "present"))
            if isinstance(spec, SceneRun):
                _check_scenes(where, spec)
                continue
            clips = clips_of(spec.dataset, spec.clips_per_class)
            _check_fold(where, spec, clips)
            n_classes = _classes(where, spec, clips)
            _check_features(where, spec, clips)
            n_samples = timebase.seconds_to_samples(clips.length_s, spec.features.rate_hz)
            shape = (spec.features.frame_count(n_samples), spec.features.n_mels)
            if (spec.model, spec.frame_reducer, shape, n_classes) not in taken:
                _check_shape(where, spec, shape, n_classes)
                taken.add((spec.model, spec.frame_reducer, shape, n_classes))


def _check_scenes(where: str, spec: SceneRun) -> None:
    """Scenes can be made, the weights of pretrained networks are here, and the network takes what they give."""
    import torch

    from course_lib.study import scene_run

    try:
        scenes = scene_run.scenes_of(spec.dataset, spec.fold, spec.scenes)
        shapes = scene_run.shapes_of(spec, scenes.clip_s)
        zeros = {name: torch.zeros(1, len(times_s), dims) for name, (times_s, dims) in shapes.items()}
        with torch.no_grad():
            scene_run.network(spec, len(scenes.classes), shapes, scenes.clip_s).eval()(zeros)
    except (CourseError, ValueError, RuntimeError) as error:
        kind = type(error) if isinstance(error, CourseError) else UsageError  # others are tracebacks
        raise kind(f"{where}: {str(error).splitlines()[0]}") from None


def _check_present(where: str, dataset: str) -> None:
    if is_real(dataset):
        return  # its loader says more
    if dataset.lower().endswith(".csv"):
        if not Path(dataset).expanduser().is_file():
            raise CourseError(f"{where}: dataset: {dataset}: no such file")
        return
    _known(f"{where}: dataset", [dataset], registry.names(), "data set")
    if not download.present(dataset):
        raise CourseError(f"{where}: dataset: {dataset} is not on this machine; run: course data get {dataset}")


def _check_fold(where: str, spec: RunSpec, clips: Clips) -> None:
    try:
        folds.split(clips, spec.fold)
    except UsageError as error:
        raise UsageError(f"{where}: fold: {error}") from None


def _classes(where: str, spec: RunSpec, clips: Clips) -> int:
    """How many classes the network of a run tells apart."""
    from course_lib.study.clip_run import asked_of

    try:
        return len(asked_of(spec, clips).names)
    except CourseError as error:
        raise UsageError(f"{where}: dataset: {error}") from None


def _check_features(where: str, spec: RunSpec, clips: Clips) -> None:
    rate_hz = spec.features.rate_hz
    longest_ms = timebase.samples_to_ms(timebase.seconds_to_samples(clips.length_s, rate_hz), rate_hz)
    if spec.features.hop_ms > longest_ms:
        raise UsageError(
            f"{where}: features.hop_ms: found {spec.features.hop_ms:g}, expected at most the length of a clip of "
            f"{spec.dataset}, {longest_ms:g} ms"
        )
    try:
        mel_bank(spec.features), padded_window(spec.features)
    except ValueError as error:
        raise UsageError(f"{where}: features.{error}") from None


def _check_shape(where: str, spec: RunSpec, shape: tuple[int, int], n_classes: int) -> None:
    """One forward on zeros: the networks themselves say which shapes they take."""
    import torch

    from course_lib.study.clip_run import network

    try:
        with torch.no_grad():
            network(spec, n_classes, shape).eval()(torch.zeros(1, *shape))
    except (ValueError, RuntimeError) as error:
        hop = f"features.hop_ms={spec.features.hop_ms:g} gives {shape[0]} frames of {shape[1]} mels"
        raise UsageError(f"{where}: {hop}, which {_named(spec)} cannot take: {str(error).splitlines()[0]}") from None


def _named(spec: RunSpec) -> str:
    return spec.model if spec.frame_reducer == "none" else f"{spec.model} behind {spec.frame_reducer}"

"""A grid of runs from a TOML file, checked before anything is trained.

`[common]` holds the fields that all runs share, each `[[part]]` those of its own runs: one run for every combination of
the values in its lists. `cases`, a list of tables, sets fields that change together. `plugin` names a file with the
user's models and frame reducers (see `plugins`). Fields are those of the task's class in `config.SPECS`.
"""

import itertools
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from course_lib import paths
from course_lib.audio import timebase
from course_lib.audio.features import mel_bank, padded_window
from course_lib.checked import nearest
from course_lib.data import download, folds, registry
from course_lib.data.load import is_own
from course_lib.errors import CourseError, UsageError, first_line
from course_lib.scenes.load import is_real
from course_lib.study import config, plugins
from course_lib.study.config import SPECS, Run, RunSpec, SceneRun
from course_lib.study.plugins import Plugin

TOP = ("about", "task", "against", "plugin", "common", "part")
LIST = ("about", "include")  # keys of a file that lists grids


@dataclass(frozen=True)
class Grid:
    """The runs of a file. `parts` are pairs of a name and its runs; a run may be in several parts, under the same key.

    `against` holds the fields of the condition that reports compare with; if empty, see `stats.summarise`.
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
    """The file of a grid, from its path or from its name in `study/grids`, in upper or lower case.

    Raises
    ------
    UsageError
        There is no such file and no such name.
    """
    path = Path(name).expanduser()
    if path.is_file():
        return path.resolve()
    folder = paths.grids_dir()
    known = {p.stem: p for p in sorted(folder.glob("*.toml"))}
    for stem, own in known.items():
        if name.lower().removesuffix(".toml") == stem.lower():
            return own
    raise UsageError(
        f"grid {name!r}: no such file, and none of that name in {folder}; there are {', '.join(known) or 'none'}"
    )


def listed(name: str) -> list[Path]:
    """The files of the grids that `name` stands for: those it lists under `include`, in that order, or its own.

    Raises
    ------
    UsageError
        As in `find`; or a list has keys besides `about` and `include`, or names no grid.
    """
    path = find(name)
    tables = read_toml(path)
    if "include" not in tables:
        return [path]
    _known(str(path), tables, LIST)
    names = tables["include"]
    if not isinstance(names, list) or not names or not all(isinstance(n, str) for n in names):
        raise UsageError(f"{path}: include: found {names!r}, expected a list of names of grids")
    return [find(n) for n in names]


def read_toml(path: Path) -> dict:
    """The content of a TOML file.

    Raises
    ------
    UsageError
        The file is missing, or is not TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{path}: cannot be read as TOML: {error}") from error


def read(path: Path) -> Grid:
    """The grid in `path`, with every field checked.

    Raises
    ------
    UsageError
        It is not TOML, or a key or value is wrong; the line names file, part and key, what was found and expected.
    """
    tables = read_toml(path)
    _known(str(path), tables, TOP)
    parts = tables.get("part", [])
    if not isinstance(parts, list) or not parts or not all(isinstance(p, dict) for p in parts):
        raise UsageError(f"{path}: part: found none, expected one or more tables [[part]], each with a name")
    task = tables.get("task", "clips")
    _known(f"{path}: task", [str(task)], SPECS, "task")
    plugin = _plugin(path, tables["plugin"]) if "plugin" in tables else None
    common = _settings(f"{path}: common", tables.get("common", {}), SPECS[task])
    against = _settings(f"{path}: against", tables.get("against", {}), SPECS[task])
    found: dict[str, tuple[Run, ...]] = {}
    for place, part in enumerate(parts, 1):
        name = part.get("name")
        if not isinstance(name, str) or not name or name in found:
            raise UsageError(f"{path}: part {place}: name: found {name!r}, expected a name that no other part has")
        runs = list(_runs(f"{path}: part {name!r}", common, part, SPECS[task], plugin))
        found[name] = tuple({run.key: run for run in runs}.values())
    with _place(f"{path}: against"):
        against = config.typed({key: values[0] for key, values in against.items()}, runs[0])
    return Grid(path.stem, path, tuple(found.items()), str(tables.get("about", "")), task, against)


def _plugin(path: Path, name: object) -> Plugin:
    """The plugin whose file the grid in `path` names, by a path relative to the grid."""
    if not isinstance(name, str):
        raise UsageError(f"{path}: plugin: found {name!r}, expected the path of a Python file")
    with _place(str(path)):
        return plugins.read(path.parent / Path(name).expanduser())


def _known(where: str, given: Iterable[str], known: Iterable[str], what: str = "key") -> None:
    """Raise for the first key of `given` that is not `known`, and suggest similar ones."""
    for key in given:
        if key not in known:
            raise UsageError(f"{where}: {key}: unknown {what}; {nearest(key, known)}")


def _settings(where: str, table: object, kind: type) -> dict[str, list]:
    """Every field that `table` sets, with the list of its values; nested tables and dotted names are equivalent."""
    if not isinstance(table, dict):
        raise UsageError(f"{where}: found {table!r}, expected a table")
    flat: dict[str, object] = {}
    for key, value in table.items():
        inner = {config.current_name(name): v for name, v in config.dotted({key: value}).items()}
        if inner.keys() & flat.keys():
            raise UsageError(f"{where}: {key}: set twice")
        flat |= inner
    _known(where, flat, [name for name in config.defaults(kind) if name != "plugin"])
    lists = {key: value if isinstance(value, list) else [value] for key, value in flat.items()}
    for key, values in lists.items():
        if not values:
            raise UsageError(f"{where}: {key}: found an empty list, expected at least one value")
    return lists


@contextmanager
def _place(where: str) -> Iterator[None]:
    """Turn an error about a field, a data set or a network into one line that names the place in the grid."""
    try:
        yield
    except (CourseError, ValueError, RuntimeError) as error:
        kind = type(error) if isinstance(error, CourseError) else UsageError
        raise kind(f"{where}: {first_line(error)}") from None


def _runs(where: str, common: dict[str, list], part: dict, kind: type, plugin: Plugin | None) -> Iterator[Run]:
    """The runs of one part: every combination of the values in its lists, for each of its cases."""
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
            fields = dict(zip(lists, values, strict=True))
            if plugin and plugin.serves(fields):
                fields["plugin"] = plugin.digest
            with _place(where):
                run = config.from_dict(fields, kind)
            yield run


def check(grid: Grid) -> None:
    """Raise before training for whatever would stop a run: no data, no such fold, a hop or network that does not fit.

    Raises
    ------
    CourseError
        A data set is not on this machine.
    UsageError
        A run cannot be made; the line names file, part and key.
    """
    tried: set[tuple] = set()  # networks with the shapes of their inputs
    for name, runs in grid.parts:
        where = f"{grid.path}: part {name!r}"
        for dataset in dict.fromkeys(run.dataset for run in runs):
            _check_present(where, dataset)
        for run in runs:
            if isinstance(run, SceneRun):
                _check_scenes(where, run)
            else:
                _check_clips(where, run, tried)


def _check_present(where: str, dataset: str) -> None:
    if is_real(dataset):
        return  # its loader gives a better message
    if is_own(dataset):
        if not Path(dataset).expanduser().exists():
            raise CourseError(f"{where}: dataset: {dataset}: no such file")
        return
    _known(f"{where}: dataset", [dataset], registry.names(), "data set")
    if not download.present(download.available(dataset)):
        raise CourseError(f"{where}: dataset: {dataset} is not on this machine; run: course data get {dataset}")


def _check_scenes(where: str, run: SceneRun) -> None:
    """Check that scenes can be made, pretrained weights are on this machine, and the network accepts the features."""
    import torch  # here, so that reading a grid does not wait for torch

    from course_lib.study import scene_run

    with _place(where), torch.no_grad():
        scenes = scene_run.scenes_of(run.dataset, run.fold, run.scenes)
        shapes = scene_run.shapes_of(run, scenes.clip_s)
        zeros = {name: torch.zeros(1, len(times_s), dims) for name, (times_s, dims) in shapes.items()}
        scene_run.network(run, len(scenes.classes), shapes, scenes.clip_s).eval()(zeros)


def _check_clips(where: str, run: RunSpec, tried: set[tuple]) -> None:
    """Check that the clips have the fold and labels, the hop fits into them, and the network accepts the features."""
    from course_lib.study import clip_run

    clips = clip_run.clips_of(run.dataset, run.clips_per_class)
    with _place(f"{where}: fold"):
        folds.split(clips, run.fold)
    with _place(f"{where}: dataset"):
        n_classes = len(clip_run.asked_of(run, clips)[0])
    n_samples = timebase.seconds_to_samples(clips.length_s, run.features.rate_hz)
    longest_ms = timebase.samples_to_ms(n_samples, run.features.rate_hz)
    if run.features.hop_ms > longest_ms:
        raise UsageError(
            f"{where}: features.hop_ms: found {run.features.hop_ms:g}, expected at most the length of a clip of "
            f"{run.dataset}, {longest_ms:g} ms"
        )
    try:
        mel_bank(run.features), padded_window(run.features)
    except ValueError as error:
        raise UsageError(f"{where}: features.{error}") from None
    shape = (run.features.frame_count(n_samples), run.features.n_mels)
    if (run.model, run.frame_reducer, shape, n_classes) not in tried:
        tried.add((run.model, run.frame_reducer, shape, n_classes))
        _check_network(where, run, shape, n_classes)


def _check_network(where: str, run: RunSpec, shape: tuple[int, int], n_classes: int) -> None:
    """Check that the network accepts the features, by one forward pass on zeros."""
    import torch

    from course_lib.study.clip_run import network

    refused = (ValueError, RuntimeError) if run.plugin == "none" else Exception  # the user's code may raise anything
    try:
        with torch.no_grad():
            logits = network(run, n_classes, shape).eval()(torch.zeros(1, *shape))
        if logits.shape != (1, n_classes):
            raise ValueError(f"gives {tuple(logits.shape)} for one clip, expected {(1, n_classes)}")
    except refused as error:
        net = run.model if run.frame_reducer == "none" else f"{run.model} behind {run.frame_reducer}"
        hop = f"features.hop_ms={run.features.hop_ms:g} gives {shape[0]} frames of {shape[1]} mels"
        raise UsageError(f"{where}: {hop}, which {net} cannot take: {first_line(error)}") from None

"""What a grid may be of: clips with one label or several, or scenes. Each has its specification and its runner."""

from collections.abc import Mapping
from types import ModuleType

from course_lib.study import scene_spec, spec, tag_spec

SPECS: dict[str, type] = {
    "clips": spec.RunSpec, tag_spec.TASK: tag_spec.TagRun, scene_spec.TASK: scene_spec.SceneRun,
}  # fmt: skip
Run = spec.RunSpec | scene_spec.SceneRun


def from_fields(fields: Mapping[str, object]) -> Run:
    """The run that `to_dict` gave `fields` of, whatever its kind. Errors as `spec.from_dict`."""
    return spec.from_dict(fields, SPECS[str(fields.get("task", "clips"))])


def runner(run: Run) -> ModuleType:
    """The module with `run_one`, `features_of` and `warm_key` for this run."""
    if isinstance(run, scene_spec.SceneRun):
        from course_lib.study import scene_run

        return scene_run
    from course_lib.study import run as clip_run

    return clip_run


def statistics(task: str) -> ModuleType:
    """The module with `summarise` and `condition_fields` for rows of this task."""
    from course_lib.study import scene_stats, stats, tag_stats

    return {"clips": stats, tag_spec.TASK: tag_stats, scene_spec.TASK: scene_stats}[task]

"""`TagRun`: a `RunSpec` for clips with several labels each, all of which are asked for."""

from dataclasses import dataclass

from course_lib.study.spec import RunSpec

TASK = "tags"


@dataclass(frozen=True)
class TagRun(RunSpec):
    """One training on clips with several labels and one reading of its test fold, by mean average precision.

    Fields are those of `RunSpec`; the data set is one whose clips have several labels, and `smoothing` has no effect.
    """

    task: str = TASK

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.task != TASK:
            raise ValueError(f"task={self.task!r}: expected {TASK}")

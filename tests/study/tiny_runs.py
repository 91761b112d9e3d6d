"""The smallest runs that tests of the study train, one on clips and one on scenes, and what two runs of one share."""

from course_lib.audio.features import FeatureSpec
from course_lib.scenes.scenes import SceneSpec
from course_lib.study.config import RunSpec, SceneRun
from course_lib.training.mean_teacher import TeacherRecipe
from course_lib.training.supervised import Recipe

ON_CLIPS = RunSpec(
    "synth10", 1, 0, FeatureSpec(hop_ms=80.0), recipe=Recipe(steps=4, batch_size=8, n_evals=2), clips_per_class=10
)
ON_SCENES = SceneRun(
    "synth10", 1, 0,
    features=FeatureSpec(hop_ms=40.0, n_mels=32),
    scenes=SceneSpec(weak=8, unlabelled=4, validation=4, test=4),
    recipe=TeacherRecipe(steps=4, weak=4, unlabelled=2, n_evals=2, spec_augment=False),
)  # fmt: skip
VOLATILE = {"latency_ms", "peak_memory_mb", "train_seconds", "minutes", "date"}  # times and memory


def lasting(record):
    """What two runs of a row agree in."""
    return {name: value for name, value in record.items() if name not in VOLATILE}

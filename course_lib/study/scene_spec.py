"""`SceneRun`: everything that decides the numbers of one run on scenes, as `RunSpec` does for clips."""

from dataclasses import dataclass, field

from course_lib import streams as kinds
from course_lib.features import FeatureSpec
from course_lib.mean_teacher import TeacherRecipe
from course_lib.models import crnn, fronts
from course_lib.soundscapes.mix import SceneSpec
from course_lib.study.spec import key_of, to_dict

TASK = "scenes"


@dataclass(frozen=True)
class SceneRun:
    """One training on weakly labelled scenes and one reading of those for testing.

    Attributes
    ----------
    dataset, fold, seed : where the sounds come from, or recorded scenes as `ave:FOLDER`; the fold of those that are
        tested on; seed of weights, order and augmentation. The scenes stay the same whatever the seed.
    features : the log-mel of the spectral stream; its frames are the time base of the network, used or not.
    scenes : how many scenes, and how hard.
    streams : what the network gets: `spectral`, `auditory`, `visual`, joined by `+`.
    auditory, auditory_ms : the pretrained network for sound and the hop of its features; 0 is one vector a scene.
    frame_rate_hz : pictures a second.
    fusion, align, front : as `models.crnn.CRNN` takes them.
    recipe : how to train.
    """

    dataset: str
    fold: int
    seed: int
    features: FeatureSpec = field(default_factory=lambda: FeatureSpec(hop_ms=20.0))
    scenes: SceneSpec = field(default_factory=SceneSpec)
    streams: str = "spectral"
    auditory: str = "mn04_as"
    auditory_ms: int = 320
    frame_rate_hz: float = 4.0
    fusion: str = "mid"
    align: str = "nearest"
    front: str = "none"
    recipe: TeacherRecipe = field(default_factory=TeacherRecipe)
    task: str = TASK

    def __post_init__(self) -> None:
        names = self.streams.split("+")
        if set(names) - set(kinds.NAMES) or len(set(names)) < len(names):
            raise ValueError(f"streams={self.streams!r}: expected some of {', '.join(kinds.NAMES)}, joined by +")
        for name, known in (("fusion", crnn.FUSIONS), ("align", crnn.ALIGNMENTS), ("task", (TASK,))):
            if getattr(self, name) not in known:
                raise ValueError(f"{name}={getattr(self, name)!r}: choose one of {', '.join(known)}")
        if self.front != "none":
            fronts.parse(self.front)
        for name, least in (("fold", 1), ("seed", 0), ("auditory_ms", 0)):
            if getattr(self, name) < least:
                raise ValueError(f"{name}={getattr(self, name)}: must be at least {least}")

    @property
    def key(self) -> str:
        """16 hexadecimal digits that name this run: a hash of every field."""
        return key_of(to_dict(self))

    @property
    def names(self) -> tuple[str, ...]:
        """The streams in their usual order, whatever order they were given in."""
        return tuple(name for name in kinds.NAMES if name in self.streams.split("+"))

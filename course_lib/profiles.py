"""How much to run: three frozen profiles and the choice of device."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from course_lib.errors import UsageError, first_line


@dataclass(frozen=True)
class Profile:
    """A size of the course: how many clips, hops, training steps and seeds a notebook may use.

    `clips_per_class` limits the embedded sets, `real_clips_per_class` the recorded ones, spread over their folds; None
    takes all. `hops_ms` are the hops that are compared, `folds` is the number of folds that are tested, and `seeds` are
    those of the training runs. `cell_timeout_s` is the time that one cell of a notebook may take.
    """

    name: str
    clips_per_class: int | None
    real_clips_per_class: int | None
    hops_ms: tuple[float, ...]
    steps: int
    folds: int
    seeds: tuple[int, ...]
    cell_timeout_s: int


PROFILES = {
    p.name: p
    for p in (
        Profile("smoke", 10, 40, (5.0, 10.0, 80.0), 12, 1, (0,), 120),  # a test of the machinery: no conclusions
        Profile("lesson", 40, 40, (2.5, 5.0, 10.0, 20.0, 40.0, 80.0), 120, 1, (0,), 600),  # the default
        Profile("study", None, None, (2.5, 5.0, 10.0, 20.0, 40.0, 80.0), 640, 5, (0, 1, 2), 7200),
    )
}


def get(name: str) -> Profile:
    """The profile called `name`.

    Raises
    ------
    UsageError
        There is no such profile.
    """
    if name not in PROFILES:
        raise UsageError(f"profile {name!r} is unknown; choose one of {', '.join(PROFILES)}")
    return PROFILES[name]


def device() -> str:
    """`cuda`, `mps` or `cpu`: the fastest device that torch finds here."""
    import torch  # seconds to import, and half of the course never needs it

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def check_device(name: str, *, here: bool = True) -> None:
    """Check, before anything is run, that torch knows the device `name` and, with `here`, can use it on this machine.

    Raises
    ------
    UsageError
        It does not know the device, or cannot use it.
    """
    import torch

    choose = "choose cpu, cuda or mps, or leave --device out"
    try:
        torch.device(name)
    except RuntimeError:
        raise UsageError(f"--device {name}: is not a device that torch knows; {choose}") from None
    try:
        if here:
            torch.zeros(1, device=name).item()  # one without values, such as `meta`, is of no use either
    except (AssertionError, ImportError, RuntimeError) as error:  # which one depends on the build
        reason = first_line(error)
        raise UsageError(f"--device {name}: cannot be used on this machine ({reason}); {choose}") from None


@contextmanager
def one_thread() -> Iterator[None]:
    """A context in which torch uses one thread, also in threads started inside; afterwards as many as before."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)

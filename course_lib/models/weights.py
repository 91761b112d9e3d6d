"""Files of published weights on this machine: mirror first, then what was downloaded before, then the network."""

import hashlib
from pathlib import Path
from urllib.error import URLError

import torch

from course_lib import paths
from course_lib.errors import CourseError


def at_hand(url: str) -> Path | None:
    """Where the file at `url` lies on this machine, unchecked, or None. The network is not touched."""
    name = url.rsplit("/", 1)[-1]
    folders = (paths.mirror_dir(), paths.data_dir() / "weights")
    return next((folder / name for folder in folders if folder and (folder / name).is_file()), None)


def weights_file(url: str, sha256: str, n_bytes: int | None = None) -> Path:
    """Path of the file at `url`, whose sum begins with `sha256` (hosts often publish the first eight digits only).

    `n_bytes`, where it is known, tells a download that broke off from one of another file.

    Raises
    ------
    CourseError
        It is not here and cannot be fetched, or what is here or came has another size or sum.
    """
    here, kept = at_hand(url), paths.data_dir() / "weights" / url.rsplit("/", 1)[-1]
    if here is None:
        by_hand = f"download {url} and put it into {kept.parent}"
        if paths.offline():
            raise CourseError(f"{kept.name} is not on this machine and COURSE_OFFLINE forbids the network; {by_hand}")
        kept.parent.mkdir(parents=True, exist_ok=True)
        try:
            torch.hub.download_url_to_file(url, str(kept), hash_prefix=sha256)
        except URLError as error:
            raise CourseError(f"{url}: cannot be reached ({error.reason}); check the network, or {by_hand}") from None
        except RuntimeError:
            raise CourseError(f"{url}: what came has not the published sum {sha256}...; try again") from None
    return _verified(here or kept, sha256, n_bytes)


def _verified(path: Path, sha256: str, n_bytes: int | None) -> Path:
    size = path.stat().st_size
    if n_bytes is not None and size < n_bytes:
        raise CourseError(f"{path}: truncated, {size} of {n_bytes} bytes are there; delete it, get it again")
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if not found.startswith(sha256):
        raise CourseError(
            f"{path}: its sha256 begins with {found[:12]}, expected {sha256[:12]}; delete it, get it again"
        )
    return path

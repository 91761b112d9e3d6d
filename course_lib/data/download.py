"""Data sets onto this machine: mirror first, then the network; checked, unpacked aside, moved into place as a whole.

`COURSE_DATA_DIR/NAME` is a complete, verified data set or it is not there. `COURSE_DATA_DIR/archives/NAME` is where
downloads wait until they are unpacked, and where a file downloaded by hand may be put.
"""

import json
import logging
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pooch
import requests.exceptions

from course_lib import paths
from course_lib.data import checksums, registry
from course_lib.data.registry import Entry, RemoteFile
from course_lib.data.unpack import unpack
from course_lib.errors import CourseError, UsageError

STAMP = ".verified.json"  # says which content was verified, and the signature of the folder then
OWN_SUMS = ".sums.sha256"  # taken when a verified archive was unpacked, where no sums of single files are published
RETRIES = 2
TIMEOUT_S = 30
NAMED = 5  # problems told one by one before "and n more"

log = logging.getLogger(__name__)
pooch.get_logger().setLevel(logging.WARNING)  # the progress bar says the same


def folder(name: str) -> Path:
    """Where the files of data set `name` are, or will be."""
    return paths.data_dir() / name


def staging(name: str) -> Path:
    """Where archives of data set `name` wait to be unpacked."""
    return paths.data_dir() / "archives" / name


def present(name: str) -> bool:
    """True when nothing has to be fetched: the course makes the set, or it is here and unchanged since verified."""
    return registry.entry(name).embedded or bool(_stamped(folder(name)))


def get(name: str, *, force: bool = False, network: bool = True) -> Path:
    """Folder of data set `name`, verified; fetched if it is not there, at once if it is.

    `force` fetches again; `network=False` looks at the mirror and the staging folder only. An interruption or an error
    leaves what was there before. Two processes may fetch the same set: the second finds the work of the first.

    Raises
    ------
    UsageError
        No such data set, or one that is made and not fetched.
    CourseError
        No network, a wrong sum, a refused archive, a full disk; one line that says what to do.
    """
    e = registry.entry(name)
    target = folder(name)
    if e.embedded:
        raise UsageError(f"{name} is made on this machine when it is used; there is nothing to fetch")
    with _disk_errors():
        if not target.is_dir() or (force and not e.by_hand):
            try:
                _fetch(e, target, force, network)
            except (CourseError, FileNotFoundError):
                if force or not _stamped(target):  # else another process was faster and has removed the archives
                    raise
        elif not _stamped(target):
            _check(e, target)
    return target


def verify(name: str) -> str:
    """One sentence on how many files of data set `name` agree with their sums; every file is read.

    Raises
    ------
    CourseError
        The set is not here, or files are changed, missing or foreign: they are named.
    """
    e = registry.entry(name)
    if e.embedded:
        return f"{name} is made on this machine when it is used; there is nothing to verify"
    if not folder(name).is_dir():
        raise CourseError(f"{name} is not on this machine; run: course data get {name}")
    with _disk_errors():
        _check(e, folder(name))
    origin = "published with the course" if e.manifest else "taken when it came here"
    return f"{name}: {len(_expected(e, folder(name)))} files agree with the sums {origin}"


def content(name: str) -> str:
    """Hash of what data set `name` holds: the key of everything computed from it. Verifies first where that is due."""
    return _stamped(folder(name)) or _check(registry.entry(name), folder(name))


def _fetch(e: Entry, target: Path, force: bool, network: bool) -> None:
    """Downloads, unpacks and checks in a working folder beside `target`, then puts the result in its place."""
    if e.by_hand:
        raise CourseError(f"{e.name} is not on this machine, and {e.by_hand} into {target}")
    archives = [_locate(e, file, network) for file in e.files]
    _require_disk(e.unpacked_mb)
    with _working_folder(e.name) as work:
        new = work / "new"
        new.mkdir()
        try:
            for file, archive in zip(e.files, archives, strict=True):
                unpack(archive, new, e.unpacked_mb * 1_000_000, file.strip, file.wanted)
            _check(e, new, archives)
        except CourseError:
            shutil.rmtree(staging(e.name), ignore_errors=True)  # a wrong download must not stand in the way of the next
            raise
        if force or not _stamped(target):  # else another process was faster, and may be reading already
            _replace(target, new, work / "old")
    shutil.rmtree(staging(e.name), ignore_errors=True)


def _locate(e: Entry, file: RemoteFile, network: bool) -> Path:
    """The archive `file` from the mirror, from staging or from the network; its sum is verified where it has one."""
    mirror, staged = paths.mirror_dir(), staging(e.name) / file.filename
    if mirror and (mirror / file.filename).is_file():
        return _verified(mirror / file.filename, file)
    if staged.is_file() and (paths.offline() or not network):
        return _verified(staged, file)
    if not network:
        raise CourseError(f"{e.name} is not on this machine; run: course data get {e.name}")
    if paths.offline():
        raise CourseError(
            f"{e.name}: COURSE_OFFLINE forbids the network; download {file.url} elsewhere and put it into "
            f"{staged.parent} or a folder that COURSE_MIRROR names"
        )
    _require_disk(e.download_mb + e.unpacked_mb)
    return _download(file, staged.parent)


def _verified(archive: Path, file: RemoteFile) -> Path:
    """`archive`, whose size and sum are those of `file`."""
    size = archive.stat().st_size
    if file.bytes and size != file.bytes:
        raise CourseError(f"{archive}: has {size:,} bytes, expected {file.bytes:,}; delete it and get it again")
    if file.checksum:
        algorithm, _, expected = file.checksum.partition(":")
        found = pooch.file_hash(str(archive), algorithm)
        if found != expected:
            raise CourseError(
                f"{archive}: its {algorithm} sum is {found}, expected {expected}; delete it and get it again"
            )
    return archive


def _download(file: RemoteFile, into: Path) -> Path:
    """`into/filename`, downloaded under a temporary name, verified and then renamed; kept if it was there already."""
    keeper = pooch.create(
        into,
        base_url="",
        registry={file.filename: file.checksum},
        urls={file.filename: file.url},
        retry_if_failed=RETRIES,
    )
    loader = pooch.HTTPDownloader(progressbar=sys.stderr.isatty(), chunk_size=1 << 20, timeout=TIMEOUT_S)
    by_hand = f"try again, or download it by hand into {into}"
    try:
        return Path(keeper.fetch(file.filename, downloader=loader))
    except requests.exceptions.HTTPError as error:
        raise CourseError(f"{file.url}: the host answered {error.response.status_code}; {by_hand}") from error
    except requests.exceptions.ChunkedEncodingError as error:
        raise CourseError(f"{file.url}: the download broke off; {by_hand}") from error
    except requests.exceptions.RequestException as error:
        kind = type(error).__name__
        raise CourseError(f"{file.url}: cannot be reached ({kind}); check the network, {by_hand}") from error
    except ValueError as error:
        raise CourseError(
            f"{file.url}: what came has not the published sum {file.checksum}; try again, and if it stays so the host "
            "or a proxy has changed the file"
        ) from error


def _check(e: Entry, place: Path, archives: Sequence[Path] = ()) -> str:
    """Hash of the content of `place`, which is complete and agrees with its sums; a stamp tells so next time.

    `archives` are what it was unpacked from a moment ago: then these are at fault, not the folder.
    """
    where = ", ".join(map(str, archives)) or str(place)
    remedy = "put the published files there" if e.by_hand else f"run: course data get {e.name} --force"
    remedy = "get it again from its publisher" if archives else remedy
    for pattern in e.needs:
        if not any(place.glob(pattern)):
            raise CourseError(f"{where}: incomplete, nothing in it is called {pattern}; {remedy}")
    expected = _expected(e, place)
    wrong = checksums.problems(place, expected)
    if wrong:
        more = f", and {len(wrong) - NAMED} more" if len(wrong) > NAMED else ""
        count = f"{len(wrong)} wrong among {len(expected)} files"
        raise CourseError(f"{where}: {count}: {', '.join(wrong[:NAMED])}{more}; {remedy}")
    found = {"content": checksums.of_sums(expected), "signature": checksums.signature(place, checksums.listing(place))}
    with suppress(OSError):  # a read-only share of a classroom works without a stamp, verified at every start
        paths.atomic_write(place / STAMP, json.dumps(found))
    return found["content"]


def _expected(e: Entry, place: Path) -> dict[str, str]:
    """The sums `place` must have: committed ones, those taken when it was unpacked, or else those it has now."""
    if e.manifest:
        return checksums.read(paths.repo_root() / "data" / "manifests" / e.manifest)
    if not (place / OWN_SUMS).is_file():
        checksums.write(checksums.of_files(place, checksums.listing(place)), place / OWN_SUMS)
    return checksums.read(place / OWN_SUMS)


def _stamped(place: Path) -> str:
    """Hash of the content as verified, or an empty text if that never happened or a file has changed since."""
    try:
        stamp = json.loads((place / STAMP).read_text(encoding="utf-8"))
        return stamp["content"] if stamp["signature"] == checksums.signature(place, checksums.listing(place)) else ""
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _replace(target: Path, new: Path, old: Path) -> None:
    """Puts `new` in the place of `target`; what was there moves to `old`, and comes back if that fails."""
    had = target.exists()
    try:
        if had:
            target.rename(old)
        new.rename(target)
    except BaseException:
        if had and old.exists():
            with suppress(OSError):
                old.rename(target)
        raise


def _require_disk(needed_mb: int) -> None:
    """Raises CourseError if the disk that will hold the data has less than `needed_mb` megabytes free."""
    place = paths.data_dir()
    free_mb = paths.free_bytes(place) // 1_000_000
    if free_mb < needed_mb:
        raise CourseError(
            f"{place}: {needed_mb:,} MB are needed and {free_mb:,} MB are free; free some, or name another disk in "
            "COURSE_DATA_DIR"
        )


@contextmanager
def _working_folder(name: str) -> Iterator[Path]:
    """A new folder beside the data sets, so that its parts can be renamed into place; gone afterwards in any case."""
    paths.data_dir().mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=paths.data_dir()))
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)


@contextmanager
def _disk_errors() -> Iterator[None]:
    """Turns an error of the disk into one line; network errors, which Python counts among these, were told before."""
    try:
        yield
    except OSError as error:
        place = error.filename or paths.data_dir()
        raise CourseError(
            f"{place}: {error.strerror or error}; make room or allow writing, or name another folder in COURSE_DATA_DIR"
        ) from error

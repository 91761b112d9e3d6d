"""Fetching data sets: mirror first, then the network; verified, unpacked aside, moved into place as a whole.

`COURSE_DATA_DIR/NAME` is a complete, verified data set or does not exist. `COURSE_DATA_DIR/archives/NAME` holds
downloads until they are unpacked; a file downloaded by hand may be put there.
"""

import gzip
import hashlib
import json
import logging
import os
import shutil
import sys
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path, PurePosixPath
from typing import BinaryIO
from urllib.parse import urlsplit

from tqdm import tqdm

from course_lib import paths
from course_lib.audio import io as audio_io
from course_lib.data import registry
from course_lib.data.cache import digest
from course_lib.data.registry import Entry, RemoteFile
from course_lib.errors import CourseError, UsageError

STAMP = ".verified.json"  # records which content was verified, and the signature of the folder then
OWN_CHECKSUMS = ".sums.sha256"  # computed when a verified archive was unpacked, if none are published for its files
RETRIES = 2
TIMEOUT_S = 30
NAMED = 5  # problems listed one by one before "and n more"
DAMAGED = (zipfile.BadZipFile, tarfile.TarError, zlib.error, gzip.BadGzipFile, EOFError, RuntimeError)


def folder(name: str) -> Path:
    """Folder of the files of data set `name`, which need not exist yet."""
    return paths.data_dir() / name


def staging(name: str) -> Path:
    """Folder in which archives of data set `name` wait to be unpacked."""
    return paths.data_dir() / "archives" / name


def present(name: str) -> bool:
    """True when nothing has to be fetched: the course makes the set, or it is here, verified and unchanged."""
    return registry.entry(name).embedded or bool(_stamped(folder(name)))


def available(name: str) -> str:
    """`name`, or another form of that set if only that form is on this machine or in the mirror.

    Raises
    ------
    UsageError
        There is no such data set.
    """
    for form in (registry.entry(name), *registry.forms(name)):
        mirror = paths.mirror_dir()
        if folder(form.name).is_dir() or (mirror and all((mirror / file.filename).is_file() for file in form.files)):
            return form.name
    return name


def get(name: str, *, force: bool = False, network: bool = True) -> Path:
    """Folder of data set `name`, verified; fetched first if it is not there.

    `force` fetches again; `network=False` uses only the mirror and the staging folder. An interruption or an error
    leaves intact what was there before. Two processes may fetch the same set: the second uses what the first fetched.

    Raises
    ------
    UsageError
        No such data set, or one that the course makes.
    CourseError
        No network, a wrong checksum, a refused archive, too little space; the line says what to do.
    OSError
        The disk filled up during the work, or does not allow writing.
    """
    e = registry.entry(name)
    target = folder(name)
    if e.embedded:
        raise UsageError(f"{name} is made on this machine when it is used; there is nothing to fetch")
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
    """One sentence on how many files of data set `name` match their checksums; every file is read.

    Raises
    ------
    CourseError
        The set is not here, or files are changed, missing or foreign; the message names them.
    """
    e = registry.entry(name)
    if e.embedded:
        return f"{name} is made on this machine when it is used; there is nothing to verify"
    if not folder(name).is_dir():
        raise CourseError(f"{name} is not on this machine; run: course data get {name}")
    _check(e, folder(name))
    origin = "published with the course" if e.manifest else "computed when it was fetched"
    return f"{name}: {len(_expected(e, folder(name)))} files match the checksums {origin}"


def content(name: str) -> str:
    """Hash of the content of data set `name`, part of the key of what is computed from it; verified first if due."""
    return _stamped(folder(name)) or _check(registry.entry(name), folder(name))


def _fetch(e: Entry, target: Path, force: bool, network: bool) -> None:
    """Download, unpack and check in a working folder beside `target`, then put the result in its place."""
    if e.by_hand:
        raise CourseError(f"{e.name} is not on this machine, and {e.by_hand} into {target}")
    archives = [_locate(e, file, network) for file in e.files]
    _require_disk(e.unpacked_mb)
    paths.data_dir().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{e.name}-", dir=paths.data_dir(), ignore_cleanup_errors=True) as work:
        new = Path(work) / "new"
        new.mkdir()
        try:
            for file, archive in zip(e.files, archives, strict=True):
                unpack(archive, new, file, e.unpacked_mb * 1_000_000)
            _check(e, new, archives)
        except CourseError:
            shutil.rmtree(staging(e.name), ignore_errors=True)  # a wrong download must not block the next
            raise
        if force or not _stamped(target):  # else another process was faster, and may be reading already
            _replace(target, new, Path(work) / "old")
    shutil.rmtree(staging(e.name), ignore_errors=True)


def _locate(e: Entry, file: RemoteFile, network: bool) -> Path:
    """The archive `file` from the mirror, from staging or from the network; verified if it has a checksum."""
    mirror, staged = paths.mirror_dir(), staging(e.name) / file.filename
    if mirror and (mirror / file.filename).is_file():
        return _verified(mirror / file.filename, file)
    if staged.is_file() and (paths.offline() or not network):
        return _verified(staged, file)
    if not urlsplit(file.url).scheme:
        raise CourseError(
            f"{e.name} is not on this machine and has no public address; put {file.filename} into a folder "
            "and set COURSE_MIRROR to it"
        )
    if not network:
        raise CourseError(f"{e.name} is not on this machine; run: course data get {e.name}")
    if paths.offline():
        raise CourseError(
            f"{e.name}: COURSE_OFFLINE forbids the network; download {file.url} elsewhere and put it into "
            f"{staged.parent}, or into the folder that COURSE_MIRROR names"
        )
    _require_disk(e.download_mb + e.unpacked_mb)
    return _download(file, staged.parent)


def _verified(archive: Path, file: RemoteFile) -> Path:
    """`archive`, whose checksum is that of `file`."""
    if not file.checksum:
        return archive
    algorithm, _, expected = file.checksum.partition(":")
    found = _file_hash(archive, algorithm)
    if found == expected:
        return archive
    raise CourseError(
        f"{archive}: its {algorithm} checksum is {found}, expected {expected}; delete it and get it again"
    )


def _download(file: RemoteFile, into: Path) -> Path:
    """`into/filename`, downloaded under a temporary name, verified and then renamed; kept if it was there already."""
    import pooch  # it and requests take a quarter of a second to import
    import requests.exceptions

    pooch.get_logger().setLevel(logging.WARNING)  # the progress bar says the same
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
        reason = f"the host answered {error.response.status_code}; {by_hand}"
    except requests.exceptions.ChunkedEncodingError:
        reason = f"the download broke off; {by_hand}"
    except requests.exceptions.RequestException as error:
        reason = f"cannot be reached ({type(error).__name__}); check the network, {by_hand}"
    except ValueError:
        reason = (
            f"the downloaded file does not have the published checksum {file.checksum}; try again, and if that does "
            "not help, the host or a proxy has changed the file"
        )
    raise CourseError(f"{file.url}: {reason}")


def _check(e: Entry, place: Path, archives: Sequence[Path] = ()) -> str:
    """Hash of the content of `place`, which is complete and matches its checksums; a stamp records that.

    `archives` are what it was just unpacked from: errors then blame these, not the folder.
    """
    where = ", ".join(map(str, archives)) or str(place)
    remedy = "put the published files there" if e.by_hand else f"run: course data get {e.name} --force"
    remedy = "get it again from its publisher" if archives else remedy
    for pattern in e.needs:
        if not any(place.glob(pattern)):
            raise CourseError(f"{where}: incomplete, no file matches {pattern}; {remedy}")
    expected = _expected(e, place)
    wrong = problems(place, expected)
    if wrong:
        more = f", and {len(wrong) - NAMED} more" if len(wrong) > NAMED else ""
        count = f"{len(wrong)} wrong among {len(expected)} files"
        raise CourseError(f"{where}: {count}: {', '.join(wrong[:NAMED])}{more}; {remedy}")
    found = {"content": content_hash(expected), "signature": signature(place, listing(place))}
    with suppress(OSError):  # a read-only share in a classroom works without a stamp, verified at every start
        paths.atomic_write(place / STAMP, json.dumps(found))
    return found["content"]


def _expected(e: Entry, place: Path) -> dict[str, str]:
    """The checksums `place` must have: committed ones, those taken when it was unpacked, or else those it has now."""
    if e.manifest:
        return read_checksums(paths.shipped("data/manifests") / e.manifest)
    if not (place / OWN_CHECKSUMS).is_file():
        write_checksums(file_checksums(place, listing(place)), place / OWN_CHECKSUMS)
    return read_checksums(place / OWN_CHECKSUMS)


def _stamped(place: Path) -> str:
    """Hash of the verified content; an empty string if it was never verified or a file has changed since."""
    try:
        stamp = json.loads((place / STAMP).read_text(encoding="utf-8"))
        return stamp["content"] if stamp["signature"] == signature(place, listing(place)) else ""
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _replace(target: Path, new: Path, old: Path) -> None:
    """Put `new` in the place of `target`; what was there moves to `old`, and back if that fails."""
    if target.exists():
        target.rename(old)
    try:
        new.rename(target)
    except BaseException:
        with suppress(OSError):
            old.rename(target)
        raise


def _require_disk(needed_mb: int) -> None:
    """Raise CourseError if the disk that will hold the data has less than `needed_mb` megabytes free."""
    place = paths.data_dir()
    free_mb = paths.free_bytes(place) // 1_000_000
    if free_mb < needed_mb:
        raise CourseError(
            f"{place}: {needed_mb:,} MB are needed and {free_mb:,} MB are free; free some, or name another disk in "
            "COURSE_DATA_DIR"
        )


# --- Archives, unpacked without trusting them


def unpack(archive: Path, into: Path, file: RemoteFile, limit_bytes: int) -> None:
    """Write the members that `file` wants of a zip or tar.gz into the existing folder `into`.

    Only plain files are written, under names checked here and never over one another. (`tarfile`'s filter "data"
    refuses the same, but is missing from the first releases of Python 3.11.)

    Raises
    ------
    CourseError
        The archive is damaged, truncated, encrypted or of another kind; a member would land outside the folder, comes
        twice or is a link; or more than `limit_bytes` would be written.
    """

    def refusal(reason: str) -> CourseError:
        return CourseError(f"{archive}: refused, {reason}; delete it and get it from its publisher")

    written = 0
    try:
        for name, size, opened in tqdm(_members(archive), "unpacking", unit=" files", delay=1, disable=None):
            path = PurePosixPath(name)
            # a backslash or a colon means a folder or a drive on Windows
            if path.is_absolute() or ".." in path.parts or set("\\:") & set(name) or not name.isprintable():
                raise refusal(f"the name {name!r} leads outside its folder or cannot be a file name")
            inside = "/".join(path.parts[file.strip :])
            if not inside or not file.wanted(inside):
                continue
            written += size
            if written > limit_bytes:
                raise refusal(f"it holds more than {limit_bytes:,} bytes")
            target = into / inside
            target.parent.mkdir(parents=True, exist_ok=True)
            with opened() as source, target.open("xb") as sink:
                shutil.copyfileobj(source, sink)
    except (FileExistsError, NotADirectoryError) as error:
        raise refusal(f"two members share the name {error.filename!r}") from error
    except DAMAGED as error:
        raise CourseError(f"{archive}: damaged or truncated archive ({error}); delete it and get it again") from error


def _members(archive: Path) -> Iterator[tuple[str, int, Callable[[], BinaryIO]]]:
    """Name, bytes and opener of each plain file in a zip or tar.gz; neither yields more bytes than it announces."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as opened:
            for info in opened.infolist():
                if not info.is_dir():
                    yield info.orig_filename, info.file_size, partial(opened.open, info)
        return
    with gzip.open(archive) as stream, tarfile.open(fileobj=stream, mode="r|") as opened:
        for info in opened:
            if not info.isreg() and not info.isdir():
                raise tarfile.TarError(f"{info.name!r} is a link or a device")
            if info.isreg():
                yield info.name, info.size, partial(opened.extractfile, info)


# --- Checksums: lists in the format of `sha256sum`, and the comparison of a folder with one


def read_checksums(path: Path) -> dict[str, str]:
    """SHA-256 checksums by file name, from lines `checksum, two spaces, name`.

    Raises
    ------
    CourseError
        A line has another form.
    """
    found = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        checksum, _, name = line.partition("  ")
        if len(checksum) != 64 or not name:
            raise CourseError(
                f"{path}:{number}: expected a SHA-256 checksum, two spaces and a name, found {line[:80]!r}"
            )
        found[name] = checksum
    return found


def write_checksums(checksums: dict[str, str], path: Path) -> None:
    """Write `checksums` as `read_checksums` reads them, sorted by name."""
    paths.atomic_write(path, "".join(f"{checksums[name]}  {name}\n" for name in sorted(checksums)))


def file_checksums(folder: Path, names: Sequence[str]) -> dict[str, str]:
    """Checksum of each of `names` in `folder`, an empty string for a missing file; in parallel, with a progress bar."""

    def checksum(name: str) -> str:
        return _file_hash(folder / name) if (folder / name).is_file() else ""

    return dict(zip(names, audio_io.threaded(checksum, names, "checking", "file"), strict=True))


def content_hash(checksums: dict[str, str]) -> str:
    """One hash over all names and checksums, independent of where the files are."""
    return digest(*(f"{checksums[name]}  {name}" for name in sorted(checksums)))


def problems(folder: Path, expected: dict[str, str]) -> list[str]:
    """The differences between `folder` and the list, one sentence each: missing, changed and foreign files."""
    kinds = {Path(name).suffix for name in expected}
    foreign = sorted(name for name in set(listing(folder)) - set(expected) if Path(name).suffix in kinds)
    found = file_checksums(folder, sorted(expected))
    missing = [f"{name} is missing" for name, checksum in found.items() if not checksum]
    changed = [
        f"{name} differs from the published file"
        for name, checksum in found.items()
        if checksum and checksum != expected[name]
    ]
    return missing + changed + [f"{name} does not belong to the set" for name in foreign]


def listing(folder: Path) -> list[str]:
    """Sorted names of all files below `folder`, without hidden ones, which belong to the course or the system."""
    inside = len(str(folder)) + 1
    # os.walk because Path.rglob takes ten times as long over the 100,000 files of the larger sets
    found = (os.path.join(place, name)[inside:] for place, _, names in os.walk(folder) for name in names)  # noqa: PTH118
    return sorted(name.replace(os.sep, "/") for name in found if not name.rpartition(os.sep)[2].startswith("."))


def signature(folder: Path, names: Iterable[str]) -> str:
    """Hash of the names, sizes and times of files: takes milliseconds, where hashing their content takes seconds."""
    found = ((name, os.stat(os.path.join(folder, name))) for name in names)  # noqa: PTH116, PTH118, for speed
    return digest(*(f"{name} {stat.st_size} {stat.st_mtime_ns}" for name, stat in found))


def _file_hash(path: Path, algorithm: str = "sha256") -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()

"""Archives from the network, unpacked without trusting them.

A member is refused that would land outside the folder, that is no plain file or folder, that comes twice, or that makes
the whole larger than it may be. The folder that was being filled is then thrown away by the caller.
"""

import gzip
import shutil
import stat
import tarfile
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from tqdm import tqdm

from course_lib.errors import CourseError

# Sound hardly shrinks: even digital silence in FLAC stays below. A bomb reaches 1,000 and more.
LARGEST_RATIO = 100
SLACK_BYTES = 1_000_000  # headers and small texts shrink well without being bombs
BLOCK_BYTES = 1 << 20

Member = tuple[str, int, int, Callable[[], BinaryIO]]  # name, announced bytes, archive bytes read so far, its opener


class Bounded:
    """A stream that raises once more than `limit` bytes were read from it.

    It counts what comes out of the decompressor: neither a header that lies nor a member that is skipped gets past it.
    """

    def __init__(self, stream: BinaryIO, limit: int, archive: Path) -> None:
        self.stream, self.left, self.limit, self.archive = stream, limit, limit, archive

    def read(self, size: int = -1) -> bytes:
        block = self.stream.read(self.left + 1 if size < 0 else min(size, self.left + 1))
        self.left -= len(block)
        if self.left < 0:
            raise _refused(self.archive, f"it unpacks to more than {self.limit:,} bytes")
        return block


def unpack(
    archive: Path, into: Path, limit_bytes: int, strip: int = 0, wanted: Callable[[str], bool] | None = None
) -> int:
    """Number of files written from a zip or tar.gz `archive` into the existing folder `into`.

    `limit_bytes` bounds the sum of all members, `strip` leading folders are taken off their names, and `wanted` says of
    what is left of a name whether to write it.

    Raises
    ------
    CourseError
        The archive is damaged, truncated, encrypted, of another kind, or refused (see the head of this file).
    """
    limit = min(limit_bytes, LARGEST_RATIO * archive.stat().st_size + SLACK_BYTES)
    members = _zip_members if zipfile.is_zipfile(archive) else _tar_members
    seen: set[str] = set()
    count = 0
    try:
        with tqdm(
            desc="unpacking", total=archive.stat().st_size, unit="B", unit_scale=True, delay=1, disable=None
        ) as bar:
            for name, size, position, opened in members(archive, limit):
                bar.update(position - bar.n)
                inside = _inside(archive, name, seen).parts[strip:]
                if not inside or not (wanted is None or wanted("/".join(inside))):
                    continue
                target = into.joinpath(*inside)
                target.parent.mkdir(parents=True, exist_ok=True)
                # "x": a name that the file system holds for the same as an earlier one must not overwrite it
                with opened() as source, target.open("xb") as sink:
                    shutil.copyfileobj(source, sink, BLOCK_BYTES)
                if target.stat().st_size != size:
                    raise _refused(archive, f"{name!r} announces {size:,} bytes and holds {target.stat().st_size:,}")
                count += 1
    except (FileExistsError, NotADirectoryError) as error:
        raise _refused(archive, f"two members share the name {error.filename!r}") from error
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, gzip.BadGzipFile, NotImplementedError) as error:
        raise CourseError(f"{archive}: damaged or truncated archive ({error}); delete it and get it again") from error
    return count


def _zip_members(archive: Path, limit: int) -> Iterator[Member]:
    """Plain files of a zip. Folders come by themselves with the files in them."""
    with zipfile.ZipFile(archive) as opened:
        infos = opened.infolist()
        if sum(info.file_size for info in infos) > limit:
            raise _refused(archive, f"it announces more than {limit:,} bytes")
        position = 0
        for info in infos:
            position += info.compress_size
            kind = stat.S_IFMT(info.external_attr >> 16)  # 0 where the archive was packed on Windows
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise _refused(archive, f"{info.filename!r} is a link or a device")
            if info.flag_bits & 1:
                raise _refused(archive, f"{info.filename!r} is encrypted")
            # zipfile itself reads no member further than it announces, and the sum of these was bounded above
            if not info.is_dir():
                yield info.orig_filename, info.file_size, position, lambda info=info: opened.open(info)


def _tar_members(archive: Path, limit: int) -> Iterator[Member]:
    """Plain files of a tar.gz, read front to back once."""
    # Each member costs up to two blocks of 512 bytes besides its content
    with archive.open("rb") as raw, gzip.open(raw) as stream:
        bounded = Bounded(stream, limit + limit // 4 + SLACK_BYTES, archive)
        with tarfile.open(fileobj=bounded, mode="r|") as opened:
            left = limit
            for info in opened:
                if not (info.isreg() or info.isdir()):
                    raise _refused(archive, f"{info.name!r} is a link or a device")
                left -= info.size
                if left < 0:
                    raise _refused(archive, f"it announces more than {limit:,} bytes")
                if info.isreg():
                    yield info.name, info.size, raw.tell(), lambda info=info: opened.extractfile(info)


def _inside(archive: Path, name: str, seen: set[str]) -> PurePosixPath:
    """`name` as a relative path that stays inside; remembers it in `seen` to find it a second time."""
    path = PurePosixPath(name)
    outside = path.is_absolute() or ".." in path.parts or set("\\:") & set(name)  # "C:\\x" is absolute on Windows
    if outside or not path.parts or not name.isprintable():
        raise _refused(archive, f"the name {name!r} leads outside its folder or cannot be a file name")
    key = unicodedata.normalize("NFC", str(path)).casefold()  # as Windows and macOS compare names
    if key in seen:
        raise _refused(archive, f"{name!r} comes twice")
    seen.add(key)
    return path


def _refused(archive: Path, why: str) -> CourseError:
    return CourseError(f"{archive}: refused, {why}; delete it and get it from its publisher")

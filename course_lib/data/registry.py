"""The entries of `data/registry.toml`, and the cards printed from them."""

import fnmatch
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import PurePosixPath
from urllib.parse import urlsplit

from course_lib import paths
from course_lib.errors import CourseError, UsageError

PREFACE = """# Data

Nothing in this folder is sound. `registry.toml` says where each data set comes from, `manifests/` holds the checksums
of its files, and the cards below are generated from the registry (`make generate`).

```
course data list                 # what there is
course data get esc10            # 400 recordings of ten classes, 42 MB, every file checked
course data card esc10           # licence, citation, protocol, known flaws
make course DATASET=esc10        # the notebooks on them
```

`course` is in `.venv/bin`; `uv run --no-sync course` finds it from anywhere in the repository. Without a network, put
downloaded archives into a folder and set `COURSE_MIRROR` to it; it is searched first. `COURSE_OFFLINE=1` forbids the
network altogether, and `COURSE_DATA_DIR` says where data are kept.

Your own sounds need no card: give a notebook the path of a folder with one sub-folder per class, or of a CSV file with
the columns `filename,label` and, if you have them, `fold,source`. Sounds with several labels have all of them in a
column `labels`, `|` between, for grids with `task = "tags"`. WAV, FLAC, OGG, MP3 and whatever else libsndfile reads
will do.

What happens to your own sounds, and the line that `load` prints about it:

- **Sources.** In a folder, `dog/rex_1.wav` and `dog/rex_2.wav` come from the source `rex`: the file name without the
  number at its end. That is done if it brings files together and leaves every class three sources; otherwise each file
  is its own source. `course data manifest folder DIR` writes the table, for you to correct the column `source`. Files
  with equal bytes are always one source, and equal files with two labels are an error.
- **Folds.** Every fold holds every class, or the set is refused with the class and the fold. Folds that you do not
  give are made: five, or fewer where sources with several classes allow no more.
- **Length.** All clips get the length that three quarters of the files do not exceed, at least 1 s and at most 10 s;
  `--clip-s 4` (or `load(..., clip_s=4)`, or `COURSE_CLIP_S=4`) sets another. Shorter sounds are padded with silence.
  Longer files are cut into clips of one source, `file.wav`, `file.wav#2` and so on; an end of less than half a clip is
  dropped.
- **Text.** Labels, sources and names are compared in Unicode's form NFC, without invisible characters and stray blanks.
"""

LISTS = """## Sets that are lists

They publish labels of segments of videos, and no audio. If you have the sounds, `course data manifest NAME LISTING
--folder SOUNDS` makes a manifest of those that are there and says how many are missing. For any other corpus, write the
manifest yourself: a row for each sound, with the columns named above.
"""


@dataclass(frozen=True)
class RemoteFile:
    """One file to download; a `url` without a host is looked for in the mirror only.

    `checksum` is `algorithm:hex`; `keep` are patterns of members, empty for all of them.
    """

    url: str
    kind: str
    strip: int = 0
    checksum: str | None = None
    keep: tuple[str, ...] = ()

    @property
    def filename(self) -> str:
        """Last part of the address: the name looked for in the mirror."""
        return PurePosixPath(urlsplit(self.url).path).name

    def wanted(self, member: str) -> bool:
        """True for a member of the archive that is unpacked; `member` is its name without the stripped folders."""
        return not self.keep or any(fnmatch.fnmatchcase(member, pattern) for pattern in self.keep)


@dataclass(frozen=True)
class Entry:
    """One data set. The fields are explained at the top of `data/registry.toml`."""

    name: str
    title: str
    clips: int
    classes: int
    rate_hz: int
    length_s: float
    folds: str
    protocol: str
    layout: str
    flaws: str
    licence: str
    citation: str
    length_note: str = ""
    rate_note: str = ""
    embedded: bool = False
    download_mb: int = 0
    unpacked_mb: int = 0
    manifest: str = ""
    by_hand: str = ""
    form_of: str = ""
    needs: tuple[str, ...] = ()
    files: tuple[RemoteFile, ...] = ()


def _tables() -> dict:
    path = paths.shipped("data/registry.toml")
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CourseError(f"{path}: {error.strerror}; run the course from a copy of its repository") from error


@cache
def _entries() -> dict[str, Entry]:
    """All entries by name, in the order of the registry."""
    found = {}
    for name, table in _tables()["datasets"].items():
        files = tuple(RemoteFile(**{**f, "keep": tuple(f.get("keep", ()))}) for f in table.pop("files", ()))
        found[name] = Entry(name=name, files=files, needs=tuple(table.pop("needs", ())), **table)
    return found


def names() -> list[str]:
    """Names of all data sets, the embedded ones first."""
    return list(_entries())


def entry(name: str) -> Entry:
    """The entry of the data set `name`.

    Raises
    ------
    UsageError
        There is no such data set.
    """
    if name not in _entries():
        raise UsageError(
            f"data set {name!r} is unknown; choose one of {', '.join(names())}, or the path of a manifest.csv, or of a "
            "folder with a sub-folder per class"
        )
    return _entries()[name]


def forms(name: str) -> list[Entry]:
    """Other forms of the data set `name`, such as a copy at another rate, used if the set itself is not there."""
    return [e for e in _entries().values() if e.form_of == name]


def card(name: str) -> str:
    """The card of one data set, in Markdown, ending in a newline."""
    e = entry(name)
    rows = {
        "clips": f"{e.clips:,} in {e.classes} classes",
        "length": e.length_note or f"{e.length_s:g} s",
        "rate": e.rate_note or f"{e.rate_hz:,} Hz",
        "folds": e.folds,
        "protocol": e.protocol,
        "layout": e.layout,
        "known flaws": e.flaws,
        "licence": e.licence,
        "cite": e.citation,
        "get it": _how(e),
    }
    lines = [f"## `{name}`: {e.title}", "", "| | |", "|---|---|"]
    lines += [f"| {key} | {text} |" for key, text in rows.items()]
    if e.files:
        lines += ["", "| file | checked by |", "|---|---|"]
        lines += [f"| {_address(f)} | {_check(e, f)} |" for f in e.files]
    return "\n".join(lines) + "\n"


def _how(e: Entry) -> str:
    """How to get the data set, for its card."""
    if e.embedded:
        return "made on your machine when it is used; nothing to download"
    size = f"{e.download_mb:,} MB to download, " if e.download_mb else ""
    size = f"{size}at most {e.unpacked_mb:,} MB unpacked"
    if not any(urlsplit(file.url).scheme for file in e.files):
        return f"from a mirror only: it has no public address ({size})"
    stand_in = "".join(f"; where it is not there, `{form.name}` is taken from a mirror" for form in forms(e.name))
    return (f"by hand: {e.by_hand} ({size})" if e.by_hand else f"`course data get {e.name}` ({size})") + stand_in


def _address(file: RemoteFile) -> str:
    """Where a file is, for its card."""
    return f"<{file.url}>" if urlsplit(file.url).scheme else f"`{file.url}`, in a folder that `COURSE_MIRROR` names"


def _check(e: Entry, file: RemoteFile) -> str:
    """What a downloaded file is checked by, for its card."""
    if file.kind == "content":
        return f"its sounds, one by one: `manifests/{e.manifest}` (the host makes the archive anew)"
    return f"`{file.checksum}`"


def all_cards() -> str:
    """`data/README.md`: a preface, the cards of all data sets, and the sets that are lists."""
    return "\n".join([PREFACE, *(card(name) for name in names()), lists_table()])


def lists_table() -> str:
    """The sets that publish labels but no audio, as a Markdown table: address, lists, size, licence."""
    lines = [LISTS, "| set | list | size | licence of the labels |", "|---|---|---|---|"]
    for table in _tables()["lists"].values():
        link = f"[{table['title']}]({table['address']})"
        lines.append(f"| {link} | {table['listing']} | {table['size']} | {table['licence']} |")
    return "\n".join(lines) + "\n"


def write_cards() -> bool:
    """Write `data/README.md`; returns whether it changed."""
    path = paths.repo_root() / "data" / "README.md"
    if path.exists() and path.read_text(encoding="utf-8") == all_cards():
        return False
    paths.atomic_write(path, all_cards())
    return True

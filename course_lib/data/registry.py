"""The entries of `data/registry.toml`, and the cards printed from them."""

import fnmatch
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from course_lib import paths
from course_lib.errors import CourseError, UsageError

PREFACE = """# Data

This folder contains no sounds. `registry.toml` says where each data set comes from, `manifests/` holds the checksums of
its files, and the cards below are generated from the registry (`make generate`).

```
course data list                 # what there is
course data get esc10            # 400 clips of ten classes, 42 MB, every file checked
course data card esc10           # licence, citation, protocol, known flaws
make course DATASET=esc10        # run the notebooks on them
```

`course` is in `.venv/bin`; `uv run --no-sync course` finds it from anywhere in the repository. Without a network, put
downloaded archives into a folder and set `COURSE_MIRROR` to it; it is searched first. `COURSE_OFFLINE=1` forbids the
network altogether, and `COURSE_DATA_DIR` sets where data are kept.

Your own sounds need no card: give a notebook the path of a folder with one sub-folder per class, or of a CSV file with
the columns `filename,label` and, if you have them, `fold,source`. If sounds have several labels, a column `labels`
lists them all, separated by `|`, for grids with `task = "tags"`. Files may be WAV, RF64, W64, FLAC, OGG, MP3, AIFF, AU
or CAF: formats in which a truncated file can be detected.

What `load` does with your own sounds, and reports in one line:

- **Sources.** In a folder, `dog/rex_1.wav` and `dog/rex_2.wav` come from the source `rex`: the file name without the
  number at its end. This rule applies if it groups files and leaves every class at least three sources; otherwise each
  file is its own source. `course data manifest folder DIR` writes the table, in which you can correct the column
  `source`. Files with equal bytes are always one source, and equal files with two labels are an error.
- **Folds.** Every fold must contain every class; otherwise an error names the class and the fold. If you give no folds,
  the course makes five, or four or three if a class has too few sources for more.
- **Length.** All clips have the same length: the shortest that three quarters of the files fit into, but at least 1 s
  and at most 10 s. `--clip-s 4` (or `load(..., clip_s=4)`, or `COURSE_CLIP_S=4`) sets another. Shorter sounds are
  padded with silence. Longer files are cut into clips of one source, `file.wav`, `file.wav#2` and so on; a remainder
  shorter than half a clip is dropped.
- **Text.** Labels, sources and names are compared in Unicode's form NFC, without invisible characters and extra spaces.
"""

LISTS = """## Sets that are lists

They publish labels of video segments but no audio. If you have the sounds,
`course data manifest NAME LISTING --folder SOUNDS` makes a manifest of the files that it finds and reports how many are
missing. For any other corpus, write the manifest yourself: a row for each sound, with the columns named above.
"""


@dataclass(frozen=True)
class RemoteFile:
    """One file to download; a `url` without a host is looked for in the mirror only.

    `checksum` is `algorithm:hex`, None where the manifest checks the sounds instead; `keep` are patterns of members,
    empty for all of them.
    """

    url: str
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
    stand_in = "".join(f"; if it is not there, `{form.name}` is taken from a mirror" for form in forms(e.name))
    return (f"by hand: {e.by_hand} ({size})" if e.by_hand else f"`course data get {e.name}` ({size})") + stand_in


def _address(file: RemoteFile) -> str:
    """Where a file is, for its card."""
    return f"<{file.url}>" if urlsplit(file.url).scheme else f"`{file.url}`, in the folder that `COURSE_MIRROR` names"


def _check(e: Entry, file: RemoteFile) -> str:
    """What a downloaded file is checked by, for its card."""
    if not file.checksum:
        return f"its sounds, one by one: `manifests/{e.manifest}` (the host regenerates the archive)"
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


def write_cards() -> list[Path]:
    """Write `data/README.md`; returns its path if that changed it."""
    return paths.write_if_changed(paths.repo_root() / "data" / "README.md", all_cards())

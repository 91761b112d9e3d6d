"""The rows of a study as one table: gathered from records, saved as Parquet, published, compared."""

import json
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from course_lib import paths
from course_lib.errors import CourseError, UsageError
from course_lib.provenance import code_hash, now, provenance
from course_lib.study.config import BACKFILL_DEFAULTS, RunSpec, SceneRun, current_name, defaults

# Rows published before data sets had versions identify their sounds by hashes of source code. Each is followed by the
# current `content` of the same sounds; the samples are bit-identical, see tests/data/test_data_identity.py.
PUBLISHED_CONTENT = dict(
    [
        (  # timing, 100 clips per class, seed 0
            "bec71111ce6abdfc6adb25e31d4cb81c33be22b5a6fac7114b71323483d69a61",
            "3b0d9312b5085263f2cd176562c32065cab97fa3ce6917d34810a7765dc09de3",
        ),
        (  # scenes made of esc10, test fold 1, the default SceneSpec
            "723a570dd33497f1cf94535b1a9415f511f1e286ae3617773a2031b850444272",
            "58b65d5c0e0b892274fd5afbe25d25993cff13d40e952f0938c0cd27e6df8365",
        ),
        (  # the same with flash=True
            "f50d4b87c231291cc58f787016127267abc911a481b0a87d9297aaea3d30b785",
            "075c7e253b1d81f99511f6ab1cea54a94c885df13554f6c889baf927c31a23b2",
        ),
    ]
)
READINGS = "test_readings.jsonl"
ROWS, SUMMARY, ORIGIN = "rows.parquet", "summary.csv", "provenance.json"
CLIPS, SCENES = ("dataset", "copies", "clips_per_class"), ("dataset", "fold")  # what determines the sounds of a row
# What must be equal in two runs of the same row. Not the hash of the weights: machines round differently.
COMPARED = (
    "status", "content", "parameters", "macs", "chosen_step", "validation_accuracy", "test_accuracy", "test_predicted",
    "validation_map", "test_map", "validation_score", "test_tagging_f1", "test_segment_f1", "test_event_f1",
    "test_estimated",
)  # fmt: skip


def gather(folder: Path) -> pd.DataFrame:
    """One row per record of `folder`, a folder of a run or of published rows; failed ones have `status` "failed".

    Columns are those of `clip_run.run_one` or `scene_run.run_one`, including those added later (see `filled`).

    Raises
    ------
    CourseError
        There are no rows, or a file is damaged.
    """
    if (folder / ROWS).is_file() and not (folder / "records").is_dir():
        try:
            return filled(current(pd.read_parquet(folder / ROWS)))
        except (OSError, ValueError) as error:
            raise CourseError(f"{folder / ROWS}: cannot be read as Parquet: {error}") from error
    records = [read_record(folder, path.stem) for path in sorted((folder / "records").glob("*.json"))]
    if not records:
        raise CourseError(f"{folder}: no rows, neither {ROWS} nor records/*.json; run: course study run GRID")
    return filled(current(pd.DataFrame(records)))


def current(rows: pd.DataFrame) -> pd.DataFrame:
    """`rows` with current field names and the current `content` (see `PUBLISHED_CONTENT`)."""
    rows = rows.rename(columns=current_name)
    if "content" not in rows.columns:
        return rows
    return rows.assign(content=rows["content"].replace(PUBLISHED_CONTENT))


def filled(rows: pd.DataFrame) -> pd.DataFrame:
    """`rows` with the fields that were added later, at the values implied before."""
    fields = defaults(RunSpec if "copies" in rows.columns else SceneRun)
    later = {name: value for name, value in BACKFILL_DEFAULTS.items() if name in fields}
    added = {name: rows[name] if name in rows.columns else value for name, value in later.items()}
    return rows.assign(**added).fillna(later).astype({name: type(value) for name, value in later.items()})


def done(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows that did not fail, index from 0."""
    return rows[rows["status"] == "done"].reset_index(drop=True)


def find(name: str) -> Path:
    """A folder of rows, from its path or from the name of a grid that was run here or, failing that, published.

    Raises
    ------
    UsageError
        There is none of these.
    """
    for folder in (Path(name).expanduser(), paths.runs_dir() / "study" / name, paths.published_dir() / name):
        if (folder / "records").is_dir() or (folder / ROWS).is_file():
            return folder.resolve()
    raise UsageError(f"{name}: no folder of records, no run and no published rows of that name")


def write(rows: pd.DataFrame, summary: pd.DataFrame, folder: Path) -> list[Path]:
    """Paths of the two files written to `folder`: all rows as Parquet, the summary as CSV."""
    folder.mkdir(parents=True, exist_ok=True)
    paths.atomic_write(folder / ROWS, rows.to_parquet(None, compression="zstd", index=False))
    paths.atomic_write(folder / SUMMARY, summary.to_csv(index=False, float_format="%.6g"))
    return [folder / ROWS, folder / SUMMARY]


def publish(rows: pd.DataFrame, summary: pd.DataFrame, about: Mapping, folder: Path) -> list[Path]:
    """Paths of the files of `write` and of a third with the origin of the rows: commits, data, devices, minutes.

    Raises
    ------
    CourseError
        Rows on the same clips or scenes used different versions of them, for instance because some were imported.
    """
    good = done(rows)
    asked = SCENES if "copies" not in good.columns else CLIPS
    alike = [name for name in good.columns if name in asked or name.startswith("scenes.")]
    versions = good.groupby(alike, dropna=False)["content"].nunique()
    if (versions > 1).any():
        name = dict(zip(alike, versions.idxmax(), strict=True))["dataset"]
        raise CourseError(f"{folder.name}: rows of {name} were run on different data; run them again on the same data")
    origin = dict(about) | {
        "provenance": provenance(),
        "rows": len(rows),
        "failed": len(rows) - len(good),
        "commits": sorted(good["commit"].unique()),
        "content": {name: sorted(of_set.unique()) for name, of_set in good.groupby("dataset")["content"]},
        "devices": sorted(good["device_name"].unique()),
        "minutes": round(float(good["minutes"].sum()), 1),
    }
    written = write(rows, summary, folder)
    paths.atomic_write(folder / ORIGIN, json.dumps(origin, indent=1, ensure_ascii=False) + "\n")
    return [*written, folder / ORIGIN]


def import_rows(published: Path, keys: Collection[str], folder: Path) -> int:
    """The number of published rows imported into `folder`, a folder of a run: those of `keys` without a record there.

    The run then computes only what has been added to the grid since, and what failed. Each imported row adds a line to
    the log of test readings, because its test fold was read.

    Raises
    ------
    CourseError
        There are no published rows, or their file is damaged.
    """
    rows = done(gather(published))
    date = now()
    imported = []
    (folder / "records").mkdir(parents=True, exist_ok=True)
    for row in rows[rows["key"].isin(keys)].to_dict("records"):
        path = record_path(folder, row["key"])
        if path.exists():
            continue
        record = {name: value for name, value in row.items() if not (isinstance(value, float) and np.isnan(value))}
        paths.atomic_write(path, json.dumps(record, default=np.ndarray.tolist, separators=(",", ":")) + "\n")
        imported.append({"time": date, "key": row["key"], "adopted": row["commit"]})
    with (folder / READINGS).open("a", encoding="utf-8") as log:
        log.writelines(json.dumps(line) + "\n" for line in imported)
    return len(imported)


def compare(first: pd.DataFrame, second: pd.DataFrame) -> pd.DataFrame:
    """One row per key in either table: `state` (`same`, `differs`, `only first`, `only second`) and `what` differs."""
    ours, theirs = ({row["key"]: row for row in table.to_dict("records")} for table in (first, second))
    found = []
    for key in [*ours, *(key for key in theirs if key not in ours)]:
        if key in ours and key in theirs:
            what = _differing(ours[key], theirs[key])
            found.append((key, "differs" if what else "same", what))
        else:
            found.append((key, "only first" if key in ours else "only second", ""))
    return pd.DataFrame(found, columns=["key", "state", "what"])


def _differing(one: Mapping, other: Mapping) -> str:
    """The compared fields in which two rows differ, numbers with both values."""
    if one["status"] != other["status"]:
        return f"status {one['status']} and {other['status']}"
    if one["status"] != "done":
        return ""
    parts = []
    for name in COMPARED:
        if name not in one and name not in other:
            continue  # rows on clips and rows on scenes have different scores
        a, b = one.get(name), other.get(name)  # a row without validation has no validation score
        if np.ndim(a) and np.ndim(b):
            n = int(np.sum(np.asarray(a) != np.asarray(b))) if len(a) == len(b) else max(len(a), len(b))
            parts += [f"{name} of {n} clips"] if n else []
        elif a != b and not (pd.isna(a) and pd.isna(b)):
            parts.append(f"{name} {_shown(a)} and {_shown(b)}")
    codes = {code for code in (one.get("code"), other.get("code")) if isinstance(code, str)}
    if parts and len(codes) == 2:
        parts.append("computed by different code")
    return ", ".join(parts)


def _shown(value: object) -> str:
    """A score in six digits, anything else as it is."""
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def code_states(records: Iterable[Mapping]) -> dict[str, int]:
    """How many rows were computed by the current code (`current`), other code (`stale`), or unknown code (`unknown`).

    Rows of the first edition do not record their code. Rows that failed are not counted.
    """
    counts = {"current": 0, "stale": 0, "unknown": 0}
    for record in records:
        if record["status"] != "done":
            continue
        code = record.get("code")
        if not isinstance(code, str):  # a table has NaN where a record has nothing
            counts["unknown"] += 1
        else:
            counts["current" if code == code_hash() else "stale"] += 1
    return counts


def record_path(folder: Path, key: str) -> Path:
    """The file of the record of the run `key`."""
    return folder / "records" / f"{key}.json"


def read_record(folder: Path, key: str) -> dict | None:
    """The record of the run `key`, or None if there is none yet.

    Raises
    ------
    CourseError
        The file is damaged.
    """
    path = record_path(folder, key)
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        return {current_name(name): value for name, value in record.items()}  # older names
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise CourseError(f"{path}: cannot be read as a record ({error}); remove it to run the row again") from error

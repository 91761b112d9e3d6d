"""Runs and grids: a key for every run, and one line for every mistake in a grid before anything is trained."""

import random
import textwrap

import pandas as pd
import pytest

from course_lib.audio.features import FeatureSpec
from course_lib.errors import CourseError, UsageError
from course_lib.study import grid as grids
from course_lib.study.config import FIELDS, RunSpec, from_dict, from_fields, to_dict
from course_lib.study.stats import REPEATS
from course_lib.training.supervised import Recipe

BASE = RunSpec("synth10", 1, 0)
OTHER_TEXTS = {
    "dataset": "timing", "features.log": "ln", "features.window": "hamming", "copies": "naa",
    "frame_reducer": "uniform:0.5", "recipe.mask_value": "floor",
    "model": "cnn9", "recipe.precision": "fp32", "plugin": "0123456789abcdef",
}  # fmt: skip
NUMBERS_FOR_NONE = {"features.n_fft": 1024, "features.fmax_hz": 4000.0, "clips_per_class": 5}


def another(name, value):
    """A value of the field that differs and is in range."""
    if value is None:
        return NUMBERS_FOR_NONE[name]
    if isinstance(value, bool):
        return not value
    if isinstance(value, str):
        return OTHER_TEXTS[name]
    return value + 1 if isinstance(value, int) else value / 2 or 0.5


@pytest.mark.parametrize("name", FIELDS)
def test_every_field_changes_the_key(name):
    fields = to_dict(BASE)
    changed = from_dict(fields | {name: another(name, fields[name])})
    assert changed.key != BASE.key and to_dict(changed)[name] != fields[name]


def test_the_key_depends_on_nothing_else():
    fields = to_dict(BASE)
    names = list(fields)
    random.Random(0).shuffle(names)
    assert from_dict({name: fields[name] for name in names}).key == BASE.key
    assert RunSpec("synth10", 1, 0, features=FeatureSpec(hop_ms=10)).key == BASE.key, "10 is 10.0"
    assert from_dict({"dataset": "synth10", "fold": 1, "seed": 0}).key == BASE.key
    assert len(BASE.key) == 16 and int(BASE.key, 16)


def test_fields_are_read_by_their_first_names_too():
    """Grids, rows and parameters of the first edition keep working, under the same keys."""
    today = from_dict(
        {"dataset": "synth10", "fold": 1, "seed": 0, "frame_reducer": "uniform:0.5", "recipe.batch_size": 8}
    )
    first = from_dict({"dataset": "synth10", "fold": 1, "seed": 0, "front": "uniform:0.5", "recipe.batch": 8})
    assert first == today and first.key == today.key
    with pytest.raises(ValueError, match=r"^recipe\.rat: no such field"):
        from_dict({"dataset": "synth10", "fold": 1, "seed": 0, "recipe.rat": 1.0})


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"features.log": "none", "frame_reducer": "diffres:0.5"}, "features.log='none': a frame reducer merges power"),
        (
            {"features.log": "none", "frame_reducer": "diffres:0.5", "task": "scenes"},
            "features.log='none': a frame reducer merges power",
        ),
        ({"frame_reducer": "oracle:0.5"}, "recipe.spec_augment=True: would mask the band that tells the oracle"),
        (
            {"frame_reducer": "oracle:0.5", "task": "scenes"},
            "frame_reducer='oracle:0.5': training scenes have no times",
        ),
    ],
)
def test_what_cannot_be_trained_is_refused_before_any_feature_is_computed(fields, message):
    with pytest.raises(ValueError, match=message) as found:
        from_fields({"dataset": "timing", "fold": 1, "seed": 0} | fields)
    assert "\n" not in str(found.value)


def written(folder, text):
    path = folder / "some.toml"
    path.write_text(textwrap.dedent(text))
    return path


def test_a_grid_crosses_lists_ties_cases_and_merges_duplicates(tmp_path):
    path = written(
        tmp_path,
        """
        about = "all forms"
        [common]
        dataset = "synth10"
        recipe.steps = 7
        "recipe.batch_size" = 8
        [common.features]
        n_fft = "none"
        [[part]]
        name = "crossed"
        fold = [1, 2]
        seed = [0, 1, 2]
        features.hop_ms = [10, 20.0]
        [[part]]
        name = "tied"
        fold = 1
        seed = 0
        cases = [
          { features.hop_ms = 10, features.window_ms = 25 },
          { features.hop_ms = 20, features.window_ms = [50, 60], model = "cnn9" },
        ]
        """,
    )
    grid = grids.read(path)
    parts = dict(grid.parts)
    assert (grid.name, grid.about) == ("some", "all forms")
    assert len(parts["crossed"]) == 12
    assert [(s.features.hop_ms, s.features.window_ms, s.model) for s in parts["tied"]] == [
        (10, 25, "cnn7"), (20, 50, "cnn9"), (20, 60, "cnn9")
    ]  # fmt: skip
    assert len(grid.specs) == 14, "the first case is also a row of the first part"
    assert all(s.recipe == Recipe(steps=7, batch_size=8) for s in grid.specs)
    grids.check(grid)


HEAD = '[common]\ndataset = "synth10"\nclips_per_class = 10\nfold = 1\nseed = 0\n'
PART = HEAD + '[[part]]\nname = "a"\n'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[common\n", "cannot be read as TOML"),
        (HEAD, "part: found none, expected one or more tables [[part]], each with a name"),
        (HEAD + "[[part]]\nfold = 2\n", "part 1: name: found None, expected a name"),
        (PART + '[[part]]\nname = "a"\n', "part 2: name: found 'a', expected a name that no other part has"),
        (HEAD.replace("common", "comon"), "comon: unknown key; did you mean common?"),
        (PART + "features.hop = 10\n", "part 'a': features.hop: unknown key; did you mean features.hop_ms or "),
        (PART + "zzz = 10\n", "part 'a': zzz: unknown key; expected one of dataset, fold"),
        (PART + 'features.hop_ms = ["ten"]\n', "part 'a': features.hop_ms: found 'ten', expected a number"),
        (PART + "fold = 1.5\n", "part 'a': fold: found 1.5, expected a whole number"),
        (PART + "recipe.roll = 1\n", "part 'a': recipe.roll: found 1, expected true or false"),
        (PART + 'features.n_fft = "big"\n', "part 'a': features.n_fft: found 'big', expected a whole number"),
        (PART + "fold = []\n", "part 'a': fold: found an empty list"),
        (PART + "features = 3\n", "part 'a': features: unknown key; did you mean features."),
        (PART + "features.hop_ms = 10\n'features.hop_ms' = 5\n", "features.hop_ms: set twice"),
        (PART + 'model = "cnn8"\n', "part 'a': model='cnn8': unknown; did you mean cnn9 or cnn7?"),
        (PART + 'copies = "all"\n', "part 'a': copies: found 'all', expected 'none' or 'naa'"),
        (PART + 'frame_reducer = "diffres"\n', "part 'a': reducer 'diffres': expected diffres:SHARE"),
        (PART + "features.hop_ms = -1\n", "part 'a': features.hop_ms=-1.0: must be above 0"),
        (PART + "recipe.steps = 0\n", "part 'a': recipe.steps: found 0, expected at least 1"),
        (PART.replace("seed = 0", ""), "part 'a': seed: not given"),
        (PART + "fold = 2\ncases = [{fold = 1}]\n", "part 'a': fold: set both in the part and in its cases"),
        (PART + "cases = 3\n", "part 'a': cases: found 3, expected a list of tables"),
        (PART + 'dataset = "synth11"\n', "part 'a': dataset: synth11: unknown data set; did you mean synth10 or "),
        (PART + 'dataset = "esc10"\n', "dataset: esc10 is not on this machine; run: course data get esc10"),
        (PART + 'dataset = "gone.csv"\n', "part 'a': dataset: gone.csv: no such file"),
        (PART + "fold = 9\n", "part 'a': fold: synth10: cannot test on fold 9; choose one of 1, 2"),
        (PART + "features.hop_ms = 6000\n", "hop_ms: found 6000, expected at most the length of a clip of synth10"),
        (PART + "features.hop_ms = 400\n", "features.hop_ms=400 gives 13 frames of 64 mels, which cnn7 cannot take"),
        (PART + "features.n_fft = 512\nfeatures.n_mels = 256\n", "part 'a': features.n_mels=256:"),
        (PART + 'features.window = "round"\n', "part 'a': features.window='round': give a name that SciPy knows"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_grid_is_one_line(tmp_path, text, message):
    with pytest.raises(CourseError) as found:
        grids.check(grids.read(written(tmp_path, text)))
    line = str(found.value)
    assert message in line and "\n" not in line
    assert line.startswith(str(tmp_path / "some.toml"))


def test_a_grid_is_found_by_name_or_path(tmp_path):
    assert grids.find("smoke").name == "smoke.toml"
    path = written(tmp_path, PART)
    assert grids.find(str(path)) == path
    with pytest.raises(UsageError, match=r"grid 'smoky': no such file, and none of that name in .*; there are .*smoke"):
        grids.find("smoky")


@pytest.mark.parametrize("path", sorted(grids.paths.grids_dir().glob("*.toml")), ids=lambda p: p.stem)
def test_the_grids_of_the_study_can_be_read(path):
    assert all(grids.read(one).specs for one in grids.listed(str(path)))


def test_a_list_of_grids_stands_for_them(tmp_path, monkeypatch):
    monkeypatch.setattr(grids.paths, "grids_dir", lambda: tmp_path)
    for name in ("one", "two"):
        (tmp_path / f"{name}.toml").write_text(PART)
    (tmp_path / "all.toml").write_text('about = "both"\ninclude = ["two", "one"]\n')
    assert [path.stem for path in grids.listed("all")] == ["two", "one"]
    assert grids.listed("one") == [tmp_path / "one.toml"]
    for text, message in (
        ('include = ["one", "three"]', "grid 'three': no such file"),
        ("include = []", r"include: found \[\], expected a list of names of grids"),
        ('include = ["one"]\n[common]\nseed = 1', "common: unknown key; expected one of about, include"),
    ):
        (tmp_path / "wrong.toml").write_text(text)
        with pytest.raises(UsageError, match=message):
            grids.listed("wrong")


def test_what_a_report_compares_with_is_checked_as_the_runs_are(tmp_path):
    against = grids.read(written(tmp_path, "against = { features.hop_ms = 10 }\n" + PART)).against
    assert against == {"features.hop_ms": 10.0} and isinstance(against["features.hop_ms"], float)
    for wrong, message in (
        ("{ features.hop = 10 }", r"against: features\.hop: unknown key; did you mean features\.hop_ms"),
        ('{ features.hop_ms = "ten" }', r"against: features\.hop_ms: found 'ten', expected a number"),
    ):
        with pytest.raises(UsageError, match=message):
            grids.read(written(tmp_path, f"against = {wrong}\n" + PART))


def test_every_part_of_a_task_holds_what_its_report_compares_with():
    """Every condition has a counterpart in its part that differs in nothing but what `against` names."""
    for name in ("words", "esc50", "urbansound8k", "speechcommands", "nsynth", "fsd50k"):
        chosen = grids.read(grids.find(name))
        for part, runs in chosen.parts:
            fields = pd.DataFrame([to_dict(run) for run in runs])
            varied = [key for key in fields if fields[key].astype(str).nunique() > 1 and key not in REPEATS]
            if set(varied).isdisjoint(chosen.against):
                continue
            conditions = set(fields[varied].itertuples(index=False, name=None))
            named = {key: value for key, value in chosen.against.items() if key in varied}
            counterparts = set(fields[varied].assign(**named).itertuples(index=False, name=None))
            assert counterparts <= conditions, (name, part)

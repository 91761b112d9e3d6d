"""INSTRUCTORS.md: its tables are generated, its minutes add up, and what it points at is there."""

import importlib
import re

import pytest

from course_lib.errors import CourseError
from course_lib.paths import repo_root
from course_lib.tools import authoring, timetables

SOURCES = {authoring.number(p): p for p in authoring.sources()}
TEXT = (repo_root() / "INSTRUCTORS.md").read_text(encoding="utf-8")
PLANS = timetables.plans()
written = pytest.mark.parametrize("number", SOURCES)


def test_no_table_of_instructors_is_empty():
    for name in ("minutes", *PLANS):
        made = TEXT.split(f"<!-- {name} -->")[1].split(f"<!-- /{name} -->")[0]
        assert made.count("\n| ") >= 8, f"{name} is empty"


@written
def test_parts_of_a_notebook_add_up_to_the_whole(number):
    source = SOURCES[number]
    whole, exercises = timetables.taken(source)
    names = [s.name for s in timetables.sections(source) if s.name.isdigit()]
    assert names == [str(k + 1) for k in range(len(names))]
    assert len(names) >= 3
    around = _around(source)
    parts = [timetables.taken(source, [name]) for name in names]
    reading = sum(m.reading - around for m, _ in parts) + around
    assert (reading, sum(m.exercises for m, _ in parts)) == pytest.approx((whole.reading, whole.exercises))
    assert (whole.reading, whole.exercises) == (timetables.stated(source).reading, timetables.stated(source).exercises)
    assert [e for _, asked in parts for e in asked] == list(exercises)
    known = importlib.import_module(f"course_lib.lesson.exercises.nb{number}").EXERCISES
    assert sorted(exercises) == sorted(known)


def _around(source):
    """Minutes of what introduces and sums up, which every choice of sections has once."""
    (one, _), (two, _), (both, _) = (timetables.taken(source, names) for names in (["1"], ["2"], ["1", "2"]))
    return one.reading + two.reading - both.reading


def test_a_notebook_that_does_not_say_how_long_it_takes_is_one_line(tmp_path):
    source = tmp_path / "13_x.py"
    source.write_text("# %% [markdown]\n# ## Before you start\n#\n# Bring time.\n\n# %%\nReading takes 3 minutes\n")
    with pytest.raises(CourseError, match=r"13_x\.py: 'Before you start' has to say 'Reading takes N minutes"):
        timetables.stated(source)
    source.write_text("# ## Before you start\n#\n# Reading takes about\n# 40 minutes. Nothing to solve.\n\n# %%\n")
    assert timetables.stated(source) == timetables.Minutes(40, 0)


def test_a_section_that_is_not_there_is_one_line():
    with pytest.raises(CourseError, match=r"01_stft_and_hop_size: no section 77; see notebooks/timetables\.toml"):
        timetables.taken(SOURCES["01"], ["1", "77"])


def test_a_row_has_sections_exercises_and_minutes_to_five():
    plan = {"session": [{"when": "now", "notebooks": ["01:1,2,3,5", "99"], "together": "talk"},
                        {"when": "break", "break": 15, "together": ""}]}  # fmt: skip
    row, pause, whole = timetables.timetable(plan).splitlines()[2:]
    expected = 5 * round(timetables.taken(SOURCES["01"], ["1", "2", "3", "5"])[0].total / 5)
    assert row == f"| now | **01** 1 to 3, 5 | 01.1, 01.2, 01.3 | {expected} | talk |"
    assert pause == "| break |  |  | 15 |  |" and whole == f"| in all | | | {expected + 15} | |"


@pytest.mark.parametrize("name", PLANS)
def test_timetables_go_forward_and_sessions_can_be_sat_through(name):
    seen = []
    for session in PLANS[name]["session"]:
        assert set(session) <= {"when", "notebooks", "together", "break"}
        seen += [entry[:2] for entry in session.get("notebooks", [])]
        spent = [timetables.taken(SOURCES[n[:2]], [k for k in n[3:].split(",") if k])[0].total
                 for n in session.get("notebooks", []) if n[:2] in SOURCES]  # fmt: skip
        assert sum(spent) <= 120, f"{name}, {session['when']}: {sum(spent):.0f} minutes without a break"
    assert seen == sorted(seen) and len(seen) == len(set(seen))
    if name == "seminar":
        assert set(seen) >= SOURCES.keys() and len(PLANS[name]["session"]) == 12


def test_what_it_points_at_is_there():
    places = {(n, s.name) for n, source in SOURCES.items() for s in timetables.sections(source)}
    rows = [[c.strip() for c in line.strip("|").split("|")] for line in TEXT.splitlines() if line.startswith("|")]
    breaks = {(r[0], r[1].removeprefix("section ")) for r in rows if len(r) == 3 and r[1].startswith("section ")}
    looked = {(r[2][:2], r[2].partition("section ")[2]) for r in rows if len(r) == 3 and ", section " in r[2]}
    assert len(breaks) >= 8 and len(looked) >= 15
    assert breaks | looked <= places, (breaks | looked) - places
    caught = {e for r in rows if len(r) == 3 for e in re.findall(r"\b\d\d\.\d\b", r[1])}
    assert caught <= {e for source in SOURCES.values() for e in timetables.taken(source)[1]}
    for link in re.findall(r"\]\(([^)#]+)\)", TEXT):
        assert (repo_root() / link).exists(), link
    assert "INSTRUCTORS.md" in (repo_root() / "README.md").read_text(encoding="utf-8")


def test_a_notebook_with_exercises_says_how_long_they_take(tmp_path):
    source = tmp_path / "13_x.py"
    source.write_text("# %% [markdown]\n# ## Before you start\n#\n# Reading takes 3 minutes.\n\n# %%\n")
    assert timetables.stated(source) == timetables.Minutes(3, 0)
    with source.open("a") as file:
        file.write("# ### Exercise 13.1: one\n")
    with pytest.raises(CourseError, match="the k exercises M"):
        timetables.stated(source)

"""What the pages of the site are made of, before Sphinx sees them."""

import base64
import html
import json
import re

import pytest
from rich.console import Console

from course_lib import paths
from course_lib.cli import main as cli
from course_lib.errors import CourseError, UsageError
from course_lib.lesson.display import RECORD_MIME
from course_lib.tools import authoring, site_build, site_pages

PIXEL = base64.b64encode(b"picture").decode()
ALT = 'Level against time: a "tick" every 10 ms, *twice* as loud at $t_0$ # and <b>.'


def code(key, source, *outputs, tags=()):
    about = {"cell_type": "code", "id": key, "metadata": {"tags": list(tags)}, "execution_count": 1}
    return about | {"source": source, "outputs": list(outputs)}


def shown(data, **metadata):
    return {"output_type": "display_data", "data": data, "metadata": metadata}


def picture(alt):
    """What `show` leaves in a notebook."""
    return shown({"text/html": f'<figure><img alt="{html.escape(alt)}" src="data:image/png;base64,{PIXEL}"></figure>'})


@pytest.fixture
def ran():
    """A run notebook and its complete copy, which share their ids."""
    title = {"cell_type": "markdown", "id": "nb01-000", "metadata": {}, "source": "# 01 · Ticks"}
    task = {"cell_type": "markdown", "id": "t", "metadata": {}, "source": "Now you.\n\n### Exercise 01.1: ticks"}
    learner = [title, code("x", "profile = 'smoke'", tags=["injected-parameters"]),
               code("nb01-001", "draw()", picture(ALT), shown({"text/markdown": "*a sentence*"}), tags=["hide-input"]),
               task,
               code("nb01-002", 'answer = ...\ncheck("01.1", answer)', tags=["exercise"]),
               code("nb01-005", "record(1)", shown({"text/plain": "1", RECORD_MIME: {}}), tags=["record"])]  # fmt: skip
    complete = [title, code("nb01-001", "draw()"), task,
                code("nb01-002", 'answer = 3\ncheck("01.1", answer)', tags=["exercise"]),
                code("nb01-003", "extra = 4", tags=["solution"]), code("nb01-005", "record(1)")]  # fmt: skip
    return {"cells": learner}, {"cells": complete}


def test_figures_stay_as_they_are_and_their_code_is_folded(ran):
    page = site_pages.page(*ran, "01_ticks")
    cell = next(c for c in page["cells"] if c["id"] == "nb01-001")
    assert cell["outputs"] == ran[0]["cells"][2]["outputs"]
    assert cell["metadata"]["tags"] == ["hide-input"]
    assert cell["metadata"]["mystnb"]["code_prompt_show"] == "Code of the figure"


def test_solutions_are_folded_below_their_exercise_with_the_cells_that_only_they_have(ran):
    page = site_pages.page(*ran, "01_ticks")
    order = [c["id"] for c in page["cells"]]
    assert order == ["nb01-000", "01_ticks-about", "x", "nb01-001", "t", "nb01-002", "nb01-002-solution", "nb01-005"]
    text = page["cells"][order.index("nb01-002-solution")]["source"]
    assert text.startswith("::::{dropdown} Solution of exercise 01.1\n")
    assert "answer = 3" in text and "extra = 4" in text
    assert "record" not in text


def test_what_is_for_programs_stays_out_and_records_are_folded(ran):
    page = site_pages.page(*ran, "01_ticks")
    record = page["cells"][-1]
    assert record["outputs"][0]["data"] == {"text/plain": "1"} and "hide-cell" in record["metadata"]["tags"]
    assert "hide-input" in page["cells"][2]["metadata"]["tags"]
    assert RECORD_MIME in ran[0]["cells"][-1]["outputs"][0]["data"], "the run itself was changed"


def test_a_run_that_failed_says_so_on_its_page(ran):
    about = site_pages.page(*ran, "01_ticks", "cell 3: *boom*")["cells"][1]["source"]
    assert "{warning}" in about and r"cell 3: \*boom\*" in about
    assert "{warning}" not in site_pages.page(*ran, "01_ticks")["cells"][1]["source"]


def test_solutions_find_their_exercise_in_a_run_of_an_older_copy(ran):
    executed_cells, complete = ran
    complete["cells"].insert(1, {"cell_type": "markdown", "id": "nb01-001", "metadata": {}, "source": "new text"})
    for place, cell in enumerate(complete["cells"]):
        cell["id"] = f"nb01-{place:03d}"  # ids are places in the source
    page = site_pages.page(executed_cells, complete, "01_ticks")
    assert [c["id"] for c in page["cells"]].index("nb01-002-solution") == 6


def test_every_exercise_of_the_course_has_a_solution():
    for source in authoring.sources():
        learner, complete = (
            json.loads((folder / f"{source.stem}.ipynb").read_text(encoding="utf-8"))
            for folder in (authoring.notebooks_dir(), authoring.notebooks_dir() / "solutions")
        )
        code = "\n".join("".join(c["source"]) for c in learner["cells"] if c["cell_type"] == "code")
        checked = re.findall(r'^check\(\s*"([\d.]+)"', code, re.M)
        asked = [number for number in site_pages.exercises(learner["cells"]) if number]
        found = site_pages.answers(complete)
        assert checked == asked == list(found), source.stem
        assert not any(authoring.TO_FILL_IN in text for text in found.values()), source.stem


def write_run(folder, names, date, state="passed", dataset="synth10"):
    folder.mkdir(parents=True)
    about = {"run": {"profile": "smoke", "data set": dataset, "seed": 0, "jobs": 1},
             "provenance": {"date": date}}  # fmt: skip
    (folder / site_build.REPORT).write_text(json.dumps(about))
    for name in names:
        (folder / f"{name}.ipynb").write_bytes((authoring.notebooks_dir() / f"{name}.ipynb").read_bytes())
        (folder / f"{name}.result.json").write_text(json.dumps({"minutes": 0.5, "state": state, "message": "why"}))
    return folder


def test_the_latest_run_is_shown_and_what_it_lacks_is_said(tmp_path):
    first, second = (source.stem for source in authoring.sources()[:2])
    write_run(tmp_path / "old", [first], "2026-01-01")
    new = write_run(tmp_path / "new", [first, second], "2026-02-01", "failed")
    run = site_build.latest(tmp_path)
    assert run.folder == new and list(run.failures) == [first, second]
    assert run.title == "profile smoke, data set synth10"
    (new / f"{second}.ipynb").write_text((new / f"{second}.ipynb").read_text().replace("STFT", "stft", 1))
    lines = site_build.complaints(run)
    assert lines[:2] == [f"{first} failed: why", f"{second} failed: why"]
    assert f"{second} has changed since it was run" in lines and f"{first} has changed since it was run" not in lines
    assert f"{authoring.sources()[2].stem} was not run" in lines


def test_the_latest_complete_run_of_the_courses_own_sets_goes_before_later_ones(tmp_path):
    every = [source.stem for source in authoring.sources()]
    whole = write_run(tmp_path / "whole", every, "2026-01-01")
    write_run(tmp_path / "failed", every, "2026-02-01", state="failed")
    write_run(tmp_path / "part", every[:3], "2026-03-01")
    write_run(tmp_path / "own", every, "2026-04-01", dataset=str(tmp_path / "my_sounds"))
    assert site_build.latest(tmp_path).folder == whole
    later = write_run(tmp_path / "later", every, "2026-01-02", dataset="esc10")
    assert site_build.latest(tmp_path).folder == later


def test_a_site_that_lacks_a_notebook_is_made_and_is_an_error(tmp_path, monkeypatch):
    first, *others = (source.stem for source in authoring.sources())
    start = tmp_path / "site" / "html" / "index.html"
    monkeypatch.setattr(site_build, "find_spec", lambda _: True)
    monkeypatch.setattr(site_build, "gather", lambda run, source: None)
    monkeypatch.setattr(site_build, "render", lambda source, html: start)
    folder = write_run(tmp_path / "run", [first], "2026-01-01")
    with pytest.raises(CourseError, match=rf"{start}: this site lacks {', '.join(others)}; run `make course` first"):
        site_build.build_site(folder, tmp_path / "site", Console(quiet=True))
    whole = write_run(tmp_path / "whole", [first, *others], "2026-01-01")
    assert site_build.build_site(whole, tmp_path / "site", Console(quiet=True)) == start


def test_the_home_page_has_the_picture_and_the_findings_of_the_readme():
    readme = (paths.repo_root() / "README.md").read_text(encoding="utf-8")
    page = site_pages.home((paths.repo_root() / "site" / "home.md").read_text(encoding="utf-8"), readme)
    assert "](study/results/front.png)" in page and page.count("\n- **") == 5 and "<!--" not in page
    with pytest.raises(CourseError, match=r"^README.md: expected one <!-- picture --> and one <!-- /picture -->"):
        site_pages.home(page, "nothing")
    with pytest.raises(CourseError, match=r"^site/home.md: expected one <!-- picture -->"):
        site_pages.home("nothing", readme)


@pytest.mark.parametrize(
    ("name", "text"), [("results.json", "{"), ("results.json", '{"run": {}, "provenance": {}}'), ("results.json", "[]"),
                       ("{}.result.json", "{}"), ("{}.ipynb", None)],
)  # fmt: skip
def test_a_run_that_cannot_be_read_is_passed_over_and_told_by_name(tmp_path, name, text):
    first = authoring.sources()[0].stem
    good = write_run(tmp_path / "good", [first], "2026-01-01")
    spoilt = write_run(tmp_path / "later", [first], "2026-02-01") / name.format(first)
    if text is None:  # a run of nothing, or one that was interrupted at once
        spoilt.unlink()
    else:
        spoilt.write_text(text)
    assert site_build.latest(tmp_path).folder == good
    with pytest.raises(CourseError, match=rf"^{spoilt.parent}: .*run `make course` first"):
        site_build.read(spoilt.parent)


@pytest.mark.parametrize("left", ["nothing", "no notebooks"])
def test_without_a_run_one_line_says_what_to_run(tmp_path, left):
    if left == "no notebooks":
        write_run(tmp_path / "run", [], "2026-01-01")
    with pytest.raises(CourseError, match="run `make course` first"):
        site_build.latest(tmp_path)


def test_the_words_are_those_of_the_style_page():
    style = (paths.repo_root() / "STYLE.md").read_text(encoding="utf-8")
    page = site_pages.glossary(style)
    for line in re.findall(r"^\| (?!we say|-)(.*?) \|", style.split("## Names")[0], re.M):
        for word in line.split(", "):
            assert f"\n{word}\n" in page
    assert "  Distance between the starts of two frames, in ms or samples. We avoid: stride, step, shift." in page
    with pytest.raises(CourseError, match="no table"):
        site_pages.glossary("# Style")


def test_links_lead_to_pages_or_to_copies(tmp_path):
    pages = {"index.md", "study/README.md", "notebooks/00_start_here.ipynb"}
    text = (
        "[a](../README.md) [b](README.md#claims) [c](https://x.org/y.md) [d](#here) [e](grids/smoke.toml) [f](grids)\n"
        "[g](../notebooks/00_start_here.ipynb) ![h](results/lesson/classes.png)\n```\n[i](README.md)\n```\n"
    )
    found = site_build.settled(text, "study", pages, tmp_path)
    assert found == (
        "[a](../index.md) [b](README.md#claims) [c](https://x.org/y.md) [d](#here) "
        "{download}`e <../download/study/grids/smoke.toml>` f\n"
        "[g](../notebooks/00_start_here.ipynb) ![h](results/lesson/classes.png)\n```\n[i](README.md)\n```\n"
    )
    assert {p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_file()} == {
        "download/study/grids/smoke.toml", "study/results/lesson/classes.png"
    }  # fmt: skip
    for wrong in ("[a](gone.md)", "![a](gone.png)", "[a](../../outside.md)"):
        with pytest.raises(CourseError, match="not in the repository"):
            site_build.settled(wrong, "study", pages, tmp_path)


def test_every_text_of_the_repository_is_in_the_contents(tmp_path):
    run = site_build.read(write_run(tmp_path / "run", [authoring.sources()[0].stem], "2026-01-01"))
    site_build.gather(run, tmp_path / "source")
    listed = (tmp_path / "source" / "index.md").read_text().split(":::{toctree}", 1)[1].splitlines()
    root = paths.repo_root()
    texts = [*root.glob("docs/*.md"), *root.glob("study/*.md"), *root.glob("notebooks/quizzes/*.md")]
    names = [path.relative_to(root).as_posix() for path in texts]
    for name in [*names, "INSTRUCTORS.md", "CHANGELOG.md", "data/README.md", "glossary.md"]:
        assert listed.count(name) == 1 and (tmp_path / "source" / name).exists(), name
    assert f"notebooks/{authoring.sources()[0].stem}.ipynb" in listed


def test_there_are_launch_buttons_only_where_there_is_an_address():
    cited = (paths.repo_root() / "CITATION.cff").read_text(encoding="utf-8")
    version = re.search(r'^version = "(.+)"$', (paths.repo_root() / "pyproject.toml").read_text(), re.M)[1]
    without = re.sub(r"^repository-code:.*\n", "", cited, flags=re.M)
    assert site_pages.address(without) == ("", f"v{version}")
    address, tag = site_pages.address(without + 'repository-code: "https://example.org/us/course.git"\n')
    assert (address, tag) == ("https://example.org/us/course.git", f"v{version}")
    page = site_pages.launch((paths.repo_root() / "site" / "launch.md").read_text(encoding="utf-8"), address, tag)
    assert f"git clone --depth 1 --branch v{version} https://example.org/us/course.git" in page
    assert "%cd course/notebooks" in page


def test_the_command_wants_sphinx_only_when_there_is_something_to_show(tmp_path, monkeypatch):
    monkeypatch.setattr(site_build, "find_spec", lambda _: None)
    write_run(tmp_path / "run", [authoring.sources()[0].stem], "2026-01-01")
    with pytest.raises(CourseError, match="run `make site`"):
        site_build.build_site(tmp_path / "run", tmp_path / "site", Console(quiet=True))
    assert "site" in {command.callback.__name__ for command in cli.app.registered_commands}


@pytest.mark.parametrize("name", ["source", "html"])
@pytest.mark.parametrize("kind", ["folder", "file"])
def test_what_no_site_made_is_not_replaced(tmp_path, name, kind):
    """`--output notebooks` would else delete the sources of the course."""
    run = write_run(tmp_path / "run", [authoring.sources()[0].stem], "2026-01-01")
    kept = tmp_path / "notebooks" / name / ("00.py" if kind == "folder" else "")
    kept.parent.mkdir(parents=True)
    kept.write_text("precious")
    with pytest.raises(UsageError, match=rf"notebooks/{name}: .*not an earlier site.*another folder \(--output"):
        site_build.build_site(run, tmp_path / "notebooks", Console(quiet=True))
    assert kept.read_text() == "precious" and len(list((tmp_path / "notebooks").iterdir())) == 1, "before any is made"


def test_a_site_replaces_the_one_before(tmp_path):
    run = site_build.read(write_run(tmp_path / "run", [authoring.sources()[0].stem], "2026-01-01"))
    source = tmp_path / "source"
    site_build.gather(run, source)
    (source / "old.md").write_text("of a page that is gone")
    site_build.gather(run, source)
    assert not (source / "old.md").exists() and (source / site_build.MARK).is_file()

"""A figure with a slider on the site and on the page of a run: by keyboard, and as a still picture without scripts."""

import json

import pytest
from helpers import LIVELY, OVERFLOWING, write_notebooks

from course_lib.tools import run_report, runner, site_build, site_pages

pytest.importorskip("sphinx_book_theme", reason="no Sphinx: make site, or uv sync --group site, installs it")


@pytest.fixture(scope="module")
def pages(tmp_path_factory, browser, serve):
    """Addresses of the same executed notebook as a page of the site and as the page of its run."""
    assert browser  # without one, nothing need be built
    folder = tmp_path_factory.mktemp("lively")
    paths = write_notebooks(folder, {"00_lively": LIVELY})
    [job] = runner.prepare(paths, {"profile": "smoke"}, folder / "run", cell_timeout_s=120)
    [result] = runner.run([job], workers=1)
    assert result.state == runner.PASSED, result.message
    executed = json.loads(job.output.read_text(encoding="utf-8"))
    (folder / "source").mkdir()
    (folder / "source" / "index.md").write_text("# Start\n\n:::{toctree}\nlively\n:::\n")
    page = site_pages.page(executed, {"cells": []}, "00_lively")
    page["cells"] = [cell for cell in page["cells"] if "{download}" not in "".join(cell["source"])]
    (folder / "source" / "lively.ipynb").write_text(json.dumps(page))
    site_build.render(folder / "source", folder / "html")
    run_report.write_page(job.output)
    base = serve(folder)
    return {"site": f"{base}html/lively.html", "run": f"{base}run/00_lively.html"}


@pytest.mark.parametrize("kind", ["site", "run"])
def test_a_slider_moves_by_keyboard_and_changes_its_picture(pages, visit, kind):
    seen = visit(offline=kind == "run", viewport={"width": 1400, "height": 1000})
    seen.page.goto(pages[kind])
    figure = seen.page.locator("figure.scrub")
    slider, picture = figure.locator("input[type=range]"), figure.locator("img:visible")
    slider.wait_for(state="visible")
    assert slider.get_attribute("aria-label") == "hop"
    before = picture.get_attribute("src")
    for key, value in (("ArrowRight", "80 ms"), ("ArrowLeft", "20 ms"), ("Home", "1 ms")):
        slider.press(key)
        assert slider.get_attribute("aria-valuetext") == figure.locator(".scrub-value").inner_text() == value
        assert picture.count() == 1 and value in picture.get_attribute("alt")
        assert (picture.get_attribute("src") == before) is (value == "20 ms")
    assert picture.evaluate("i => i.complete && i.naturalWidth") == 400
    assert kind == "run" or seen.complaints == []
    assert "live kernel" in seen.page.locator("body").inner_text()


@pytest.mark.parametrize("kind", ["site", "run"])
def test_without_scripts_it_is_a_still_picture(pages, visit, kind):
    page = visit(offline=True, java_script_enabled=False).page
    page.goto(pages[kind])
    figure = page.locator("figure.scrub")
    assert figure.locator("img:visible").count() == 1 and "20 ms" in figure.locator("img:visible").get_attribute("alt")
    assert not figure.locator("input").is_visible()
    assert "hop: 20 ms" in figure.inner_text()


def test_the_words_of_a_picture_are_in_its_attribute_alone(pages, visit):
    for address in pages.values():
        page = visit(offline=True).page
        page.goto(address)
        assert page.locator("img[alt^='A sine of nearly']").count() == 1
        assert not any("A sine of nearly" in text for text in page.locator("figure").all_inner_texts())


def test_code_that_only_draws_is_folded_and_opens_by_key(pages, visit):
    page = visit().page
    page.goto(pages["site"])
    fold = page.locator("details", has=page.get_by_text("# A slider over three hops"))
    assert fold.count() == 1 and not fold.locator("pre").first.is_visible()
    fold.locator("summary").focus()
    page.keyboard.press("Enter")
    fold.locator("pre").first.wait_for(state="visible", timeout=5000)


def test_a_line_of_88_characters_fits_at_1400_pixels(pages, visit):
    """The page of a run wraps its code instead."""
    page = visit(viewport={"width": 1400, "height": 1000}).page
    page.goto(pages["site"])
    code = ".cell_input pre"
    assert any("88 characters" in text for text in page.locator(code).all_inner_texts())
    assert page.evaluate(OVERFLOWING, code) == []
    page.locator(code).first.evaluate("e => e.append('x'.repeat(150))")
    assert len(page.evaluate(OVERFLOWING, code)) == 1, "what overflows is not found"


def test_a_run_has_the_title_of_its_notebook(pages, visit):
    page = visit(offline=True).page
    page.goto(pages["run"])
    assert page.title() == "Figures that respond"

"""The site, built from two notebooks that were really run, and read in a real browser."""

import os
from pathlib import Path

import pytest
from helpers import OVERFLOWING

from course_lib import paths
from course_lib.errors import CourseError
from course_lib.tools import authoring, run_report, runner, site_build

pytest.importorskip("sphinx_book_theme", reason="no Sphinx: make site, or uv sync --group site, installs it")

SHOWN = "0[0-4]_*.ipynb"  # figures, players, a table, formulas, exercises
ABOUT = {"profile": "smoke", "data set": "synth10", "seed": 0, "jobs": 2}
LEAST_CONTRAST = 4.5  # WCAG 2, level AA, text of usual size


@pytest.fixture(scope="module")
def html(tmp_path_factory, browser):
    """Folder of the built pages. `COURSE_SITE` names a site that was built before, to look at the whole course."""
    assert browser  # without one, nothing need be built
    if os.environ.get("COURSE_SITE"):
        return Path(os.environ["COURSE_SITE"])
    folder = tmp_path_factory.mktemp("site")
    given = {"profile": ABOUT["profile"], "dataset": ABOUT["data set"], "seed": ABOUT["seed"]}
    jobs = runner.prepare(sorted(authoring.notebooks_dir().glob(SHOWN)), given, folder / "run", cell_timeout_s=120)
    results = runner.run(jobs, workers=2)
    assert [r.message for r in results if r.message] == []
    run_report.write_json(results, ABOUT, folder / "run" / site_build.REPORT)
    site_build.gather(site_build.read(folder / "run"), folder / "source")
    return site_build.render(folder / "source", folder / "html").parent


@pytest.fixture(scope="module")
def base(html, serve):
    return serve(html)


def pages_of(html):
    """Addresses of all pages with content, below the site's own."""
    found = {path.relative_to(html).as_posix() for path in html.rglob("*.html")}
    return {name for name in found if not name.startswith("_")} - {"genindex.html", "search.html"}


LOOK = """() => ({
  links: [...document.querySelectorAll('a[href]')].map(a => a.href),
  ids: [...document.querySelectorAll('[id]')].map(e => e.id),
  broken: [...document.images].filter(i => !i.complete || !i.naturalWidth).map(i => i.src),
  mute: [...document.images].filter(i => !(i.alt || '').trim()).map(i => i.src),
  nameless: [...document.querySelectorAll('audio')].filter(a => !(a.getAttribute('aria-label') || '').trim()).length,
  headings: document.querySelectorAll('article h1').length,
})"""


@pytest.mark.timeout(600)
def test_the_next_links_lead_through_every_page_and_no_page_has_a_fault(html, base, visit):
    seen = visit()
    seen.page.goto(f"{base}index.html")
    looks = {}
    while True:
        seen.page.wait_for_load_state("load")
        look = seen.page.evaluate(LOOK)
        looks[seen.page.url.partition("#")[0].removeprefix(base)] = look
        for fault in ("broken", "mute"):
            assert look[fault] == [], f"{seen.page.url}: pictures {fault}"
        assert look["nameless"] == 0 and look["headings"] == 1, seen.page.url
        onwards = seen.page.locator("a.right-next")
        if not onwards.count():
            break
        onwards.first.click()
    assert set(looks) == pages_of(html)
    assert seen.complaints == []
    links = [(name, link) for name, look in looks.items() for link in look["links"]]
    assert [(name, link) for name, link in links if not leads(link, base, html, looks)] == []


def leads(link, base, html, looks):
    """Whether a link goes to another host, or to a file that is there and a place that is on it."""
    if not link.startswith(base):
        return True
    name, _, fragment = link.removeprefix(base).partition("#")
    name = name.partition("?")[0] or "index.html"
    return (html / name).is_file() and (not fragment or name not in looks or fragment in looks[name]["ids"])


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_is_legible_in_both_modes(base, visit, scheme):
    seen = visit(color_scheme=scheme)
    seen.page.goto(f"{base}notebooks/01_stft_and_hop_size.html")
    assert seen.page.evaluate("document.documentElement.dataset.theme") == scheme
    shades = seen.page.evaluate(SHADES, KINDS)
    assert {kind for kind, _, _ in shades} >= {"p", "figcaption", "pre", "summary", "td"}
    light = luminance(seen.page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert light > 0.8 if scheme == "light" else light < 0.1
    faint = [(kind, ratio) for kind, ink, ground in shades if (ratio := contrast(ink, ground)) < LEAST_CONTRAST]
    assert faint == []


KINDS = [
    "p",
    "a:not(.headerlink)",
    "figcaption .caption-text",
    "figcaption",
    "pre",
    "pre span",
    "summary",
    "td",
    "th",
    "li",
]
SHADES = """kinds => {
  const ground = e => {
    for (; e; e = e.parentElement) {
      const colour = getComputedStyle(e).backgroundColor;
      if (colour !== 'rgba(0, 0, 0, 0)') return colour;
    }
    return 'rgb(255, 255, 255)';
  };
  const texts = kind => [...document.querySelectorAll('article ' + kind)].filter(
    e => e.textContent.trim() && !e.closest('mjx-container'));
  return kinds.flatMap(kind => texts(kind).slice(0, 60).map(e => [kind, getComputedStyle(e).color, ground(e)]));
}"""


def luminance(colour):
    """Relative luminance of `rgb(r, g, b)` or `rgba(...)`, as WCAG 2 defines it."""
    parts = [float(part) / 255 for part in colour[colour.index("(") + 1 : -1].split(",")[:3]]
    red, green, blue = (c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(ink, ground):
    dark, light = sorted((luminance(ink), luminance(ground)))
    return (light + 0.05) / (dark + 0.05)


def test_the_reader_chooses_the_mode_and_it_stays(base, visit):
    seen = visit(color_scheme="light")
    seen.page.goto(f"{base}index.html")
    seen.page.locator("button.theme-switch-button:visible").first.click()
    seen.page.locator("button.theme-change-button[data-mode=dark]:visible").first.click()
    assert seen.page.evaluate("document.documentElement.dataset.theme") == "dark"
    seen.page.goto(f"{base}glossary.html")
    assert seen.page.evaluate("document.documentElement.dataset.theme") == "dark" and seen.complaints == []


def test_a_sound_plays_by_key(base, visit):
    seen = visit()
    seen.page.goto(f"{base}notebooks/00_start_here.html")
    player = seen.page.locator("audio").first
    assert len(player.get_attribute("aria-label").split()) >= 4
    player.focus()
    seen.page.keyboard.press("Space")
    seen.page.wait_for_function("document.querySelector('audio').currentTime > 0.2", timeout=10_000)


def test_a_solution_is_folded_and_opens_by_key(base, visit):
    seen = visit()
    seen.page.goto(f"{base}notebooks/00_start_here.html")
    fold = seen.page.locator("details.solution, .solution details").first
    assert "Solution of exercise 00.1" in fold.locator("summary").inner_text()
    code = fold.locator("pre")
    assert not code.is_visible()
    fold.locator("summary").focus()
    seen.page.keyboard.press("Enter")
    code.wait_for(state="visible", timeout=5000)
    assert "16_000 * 10 // 1000" in code.inner_text()


def test_no_code_cell_overflows_at_1400_pixels(html, base, visit):
    page = visit(viewport={"width": 1400, "height": 1000}).page
    for path in sorted((html / "notebooks").glob("[0-9][0-9]_*.html")):
        page.goto(f"{base}notebooks/{path.name}")
        page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
        assert page.evaluate(OVERFLOWING, ".cell_input pre") == [], path.stem


def test_search_finds_hop_and_formulas_are_drawn(base, visit):
    seen = visit()
    seen.page.goto(f"{base}index.html")
    seen.page.keyboard.press("Control+k")
    seen.page.keyboard.type("hop")
    seen.page.keyboard.press("Enter")
    seen.page.get_by_text("Search finished").wait_for(timeout=20_000)
    found = seen.page.locator("#search-results li", has_text="STFT and hop size")
    excerpt = found.locator(".context").first.inner_text()
    assert excerpt.startswith("01 · STFT and hop size") and "Settings" not in excerpt, "not the article's own words"
    found.locator("a").first.click()
    seen.page.wait_for_selector("mjx-container", timeout=20_000)
    assert "01_stft_and_hop_size" in seen.page.url and seen.complaints == []


def test_what_sphinx_warns_about_is_an_error_of_one_line(tmp_path):
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "index.md").write_text("# A page\n\n[nowhere](nowhere.md)\n")
    with pytest.raises(CourseError, match=r"nowhere.*\(1 lines in .*sphinx.log\)$"):
        site_build.render(tmp_path / "source", tmp_path / "html")
    assert "nowhere" in (tmp_path / "sphinx.log").read_text()


def test_the_launch_files_name_the_locked_versions():
    lock = (paths.repo_root() / "uv.lock").read_text(encoding="utf-8")
    script = (paths.repo_root() / "binder" / "postBuild").read_text(encoding="utf-8")
    for package in ("torch", "torchaudio", "torchvision"):
        version = lock.split(f'name = "{package}"\nversion = "')[1].split('"')[0]
        assert f"{package}=={version}" in script

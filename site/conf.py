"""Sphinx's settings for the course site. `course site` gathers the pages and calls it; nothing is edited by hand."""

from course_lib.paths import repo_root
from course_lib.tools.site_pages import address

repository, tag = address((repo_root() / "CITATION.cff").read_text(encoding="utf-8"))

project = "Temporal resolution in audio classification"
author = "the authors of the course"
version = release = tag.removeprefix("v")
language = "en"
extensions = ["myst_nb", "sphinx_design", "sphinx_copybutton", "sphinx-mathjax-offline"]  # this one with hyphens
exclude_patterns = ["download"]

nb_execution_mode = "off"  # papermill executed them
nb_render_markdown_format = "myst"  # figures are directives in outputs
highlight_language = "none"  # of fences that name no language; cells have their own
nb_ipywidgets_js = {}  # they would come from another host
myst_enable_extensions = ["colon_fence", "dollarmath", "amsmath"]
myst_dmath_double_inline = True  # $$ in the middle of a paragraph, as Jupyter takes it
myst_heading_anchors = 3

html_theme = "sphinx_book_theme"
html_title = project
html_static_path = ["static"]
html_favicon = "static/icon.svg"
html_context = {"default_mode": "auto"}  # light or dark as the reader's system is; a button changes it
html_css_files = ["course.css"]
html_js_files = ["course.js"]
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {
    "navbar_persistent": [],  # the sidebar has a search box already
    "use_download_button": False,  # every notebook has a link to the learner's copy
    "show_toc_level": 2,
}
if repository:
    html_theme_options |= {
        "repository_url": repository,
        "repository_branch": tag,
        "use_repository_button": True,
        "launch_buttons": {
            "notebook_interface": "jupyterlab",
            "binderhub_url": "https://mybinder.org",
            "colab_url": "https://colab.research.google.com",
        },
    }

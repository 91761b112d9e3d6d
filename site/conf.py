"""Sphinx's settings for the course site. `course site` gathers the pages and runs Sphinx; no page is edited by hand."""

import re

from course_lib.paths import repo_root
from course_lib.tools.site_pages import address

repository, tag = address((repo_root() / "CITATION.cff").read_text(encoding="utf-8"))

project = "Temporal resolution in audio classification"
author = "the authors of the course"
version = release = tag.removeprefix("v")
language = "en"
extensions = [
    "myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_design", "sphinx_copybutton",
    "sphinx-mathjax-offline",  # spelt with hyphens
]  # fmt: skip
exclude_patterns = ["download"]

default_role = "code"  # single backticks in docstrings, as in Markdown
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_member_order = "bysource"
napoleon_google_docstring = False
napoleon_use_ivar = True
autodoc_inherit_docstrings = False
toc_object_entries_show_parents = "hide"

nb_execution_mode = "off"  # papermill executed them
nb_render_markdown_format = "myst"  # figures are directives in outputs
highlight_language = "none"  # of fences that name no language; cells have their own
nb_ipywidgets_js = {}  # they would be loaded from another host
myst_enable_extensions = ["colon_fence", "dollarmath", "amsmath"]
myst_dmath_double_inline = True  # $$ within a paragraph, as Jupyter allows
myst_heading_anchors = 3

html_theme = "sphinx_book_theme"
html_title = project
html_static_path = ["static"]
html_favicon = "static/icon.svg"
html_context = {"default_mode": "auto"}  # light or dark like the reader's system; a button changes it
html_css_files = ["course.css"]
html_js_files = ["course.js"]
html_domain_indices = False  # the reference is one page
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


def put_descriptions_below_names(app, what, name, obj, options, lines):
    """Turn `name : description` into a name with its description below: after a colon, napoleon expects a type."""
    found = []
    for line in lines:
        entry = re.match(r"(\w+) : (.+)", line)  # of one name: napoleon cannot take several with a description below
        found += [entry[1], f"    {entry[2]}"] if entry else [line]
    lines[:] = found


def setup(app):
    app.connect("autodoc-process-docstring", put_descriptions_below_names, priority=400)  # before napoleon, at 500

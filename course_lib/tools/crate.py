"""`ro-crate-metadata.json`: what this repository is, for machines: parts, licences, papers, and where rows come from.

Made from pyproject.toml, CITATION.cff and the origin of the published rows. Source: RO-Crate 1.1,
https://www.researchobject.org/ro-crate/specification/1.1/.
"""

import json
import tomllib
from pathlib import Path

import yaml

from course_lib.paths import published_dir, repo_root, write_if_changed
from course_lib.study.records import ORIGIN, ROWS, SUMMARY

FILE = "ro-crate-metadata.json"
LICENCES = {
    "https://spdx.org/licenses/MIT": "MIT licence, for code",
    "https://creativecommons.org/licenses/by/4.0/": "Creative Commons Attribution 4.0, for text, figures and rows",
}
FOLDERS = {
    "notebooks/": "The notebooks, with their sources, solutions and quizzes",
    "course_lib/": "The library behind the notebooks and the study",
    "study/": "Grids, protocol, claims and published rows of the study",
    "tests/": "Tests, and the expected values of the notebooks",
}
FILES = {  # the files of a published grid
    ROWS: "application/vnd.apache.parquet",
    SUMMARY: "text/csv",
    ORIGIN: "application/json",
}


def write_crate() -> list[Path]:
    """Write the crate; returns its path if that changed it."""
    return write_if_changed(repo_root() / FILE, json.dumps(crate(), indent=1, ensure_ascii=False) + "\n")


def crate() -> dict:
    """The crate as JSON-LD."""
    root = repo_root()
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    citation = yaml.safe_load((root / "CITATION.cff").read_text(encoding="utf-8"))
    grids = [_grid(path.parent) for path in sorted(published_dir().glob(f"*/{ORIGIN}"))]
    papers = [_paper(reference) for reference in citation["references"]]
    authors = [
        {"@id": f"#author-{k}", "@type": "Organization", "name": author["name"]}
        for k, author in enumerate(citation["authors"], 1)
    ]
    folders = [{"@id": name, "@type": "Dataset", "name": about} for name, about in FOLDERS.items()]
    licences = [{"@id": url, "@type": "CreativeWork", "name": name} for url, name in LICENCES.items()]
    parts = [entity for entities in grids for entity in entities]
    top = {
        "@id": "./",
        "@type": "Dataset",
        "name": citation["title"],
        "description": project["description"],
        "version": project["version"],
        "datePublished": max(entity["dateCreated"] for entity in parts if "dateCreated" in entity),
        "license": _ids(licences),
        "author": _ids(authors),
        "publisher": _ids(authors[:1]),
        "citation": _ids(papers),
        "keywords": ", ".join(citation["keywords"]),
        "hasPart": _ids([*folders, *(entity for entity in parts if entity["@type"] in ("Dataset", "File"))]),
        "mentions": _ids([entity for entity in parts if entity["@type"] == "CreateAction"]),
    }
    descriptor = {
        "@id": FILE,
        "@type": "CreativeWork",
        "about": {"@id": "./"},
        "conformsTo": {"@id": "https://w3id.org/ro/crate/1.1"},
    }
    return {
        "@context": "https://w3id.org/ro/crate/1.1/context",
        "@graph": [descriptor, top, *folders, *parts, *papers, *authors, *licences],
    }


def _ids(entities: list[dict]) -> list[dict] | dict:
    """References to `entities`; to a single one without a list, as the specification recommends."""
    found = [{"@id": entity["@id"]} for entity in entities]
    return found[0] if len(found) == 1 else found


def _grid(folder: Path) -> list[dict]:
    """A published grid: its folder, its files, and the run that made them."""
    origin = json.loads((folder / ORIGIN).read_text(encoding="utf-8"))
    place = folder.relative_to(repo_root()).as_posix() + "/"
    files = [
        {
            "@id": place + name,
            "@type": "File",
            "name": f"{name} of the grid {folder.name}",
            "encodingFormat": kind,
        }
        for name, kind in FILES.items()
    ]
    about = origin["about"].strip().replace("\n", " ")
    rows = {
        "@id": place,
        "@type": "Dataset",
        "name": f"Published rows of the grid {folder.name}",
        "description": about,
        "dateCreated": origin["provenance"]["date"][:10],
        "hasPart": _ids(files),
    }
    run = {
        "@id": f"#run-{folder.name}",
        "@type": "CreateAction",
        "name": f"Run of the grid {folder.name}: {origin['rows']} rows in {origin['minutes']:.0f} minutes",
        "description": f"Commits {', '.join(origin['commits'])}; devices {', '.join(origin['devices'])}",
        "endTime": origin["provenance"]["date"],
        "instrument": {"@id": "course_lib/"},
        "result": {"@id": place},
    }
    return [rows, *files, run]


def _paper(reference: dict) -> dict:
    """One of the papers that are re-implemented; the identifier is its DOI where it has one."""
    names = ", ".join(f"{author['given-names']} {author['family-names']}" for author in reference["authors"])
    doi = reference.get("doi")
    return {
        "@id": f"https://doi.org/{doi}" if doi else "#paper-" + reference["title"].lower().replace(" ", "-")[:40],
        "@type": "ScholarlyArticle",
        "name": reference["title"],
        "creditText": names,
        "datePublished": str(reference["year"]),
    }

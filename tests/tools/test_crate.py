"""The description of the repository for machines: whole, and pointing only at what is there."""

import json

from course_lib.paths import repo_root
from course_lib.tools import crate


def references(value):
    """Every `{"@id": ...}` within `value`."""
    if isinstance(value, list):
        return [found for each in value for found in references(each)]
    if isinstance(value, dict):
        return [value["@id"]] if set(value) == {"@id"} else references(list(value.values()))
    return []


def test_the_crate_is_up_to_date_and_every_part_of_it_exists():
    stored = json.loads((repo_root() / crate.FILE).read_text(encoding="utf-8"))
    assert stored == crate.crate(), "run: course generate"
    entities = {entity["@id"]: entity for entity in stored["@graph"]}
    assert len(entities) == len(stored["@graph"])
    for entity in entities.values():
        if entity["@type"] in ("Dataset", "File"):
            assert (repo_root() / entity["@id"]).exists(), entity["@id"]
        for found in references([value for name, value in entity.items() if name != "conformsTo"]):
            assert found in entities, found
    assert {entity["@id"] for entity in entities.values() if entity["@type"] == "File"} <= {
        part["@id"] for part in entities["./"]["hasPart"]
    }

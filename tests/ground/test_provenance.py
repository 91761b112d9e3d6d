"""Where a number comes from: which code, which processor."""

import shutil
from pathlib import Path

import course_lib
from course_lib import provenance


def test_the_hash_of_the_code_follows_what_it_does_and_not_how_it_reads(tmp_path):
    library = tmp_path / "course_lib"
    shutil.copytree(Path(course_lib.__file__).parent, library, ignore=shutil.ignore_patterns("__pycache__"))

    def changed(name, old, new):
        path = library / name
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new, 1), encoding="utf-8")
        provenance.code_hash.cache_clear()
        return provenance.code_hash(library) != before

    before = provenance.code_hash(library)
    assert before == provenance.code_hash(), "a copy is the same code"
    for name in ("models/cnn.py", "audio/timebase.py"):
        assert not changed(name, "\nimport", "\n# a comment\nimport"), name
    assert not changed("models/cnn.py", '"""', '"""Other words. '), "a docstring"
    assert not changed("study/engine.py", "DEATHS = 2", "DEATHS = 3"), "who hands rows out computes none"
    assert changed("study/clip_run.py", "maxsize=8", "maxsize=9")


def test_a_processor_has_a_name():
    assert provenance.environment()["processor"] == provenance.processor() != ""


def test_processors_of_one_name_are_told_apart():
    first = "processor\t: 0\ncpu family\t: 6\nmodel\t\t: 143\nmodel name\t: Intel(R) Xeon(R)\nstepping\t: 8\n"
    assert provenance._described(f"{first}\nprocessor\t: 1\n") == "Intel(R) Xeon(R) (family 6, model 143, stepping 8)"
    assert provenance._described("model name\t: Cortex\n") == "Cortex" and provenance._described("") == ""

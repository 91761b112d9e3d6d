"""The registry of data sets and the cards made from it."""

import re

import pytest

from course_lib import paths
from course_lib.data import download, load, registry
from course_lib.errors import CourseError, UsageError

FETCHED = [name for name in registry.names() if not registry.entry(name).embedded]


def test_the_readme_is_generated():
    committed = (paths.repo_root() / "data" / "README.md").read_text(encoding="utf-8")
    assert committed == registry.all_cards(), "run `make generate`"


def test_unknown_name_lists_the_names_and_the_manifest():
    listed = r"'esc11' is unknown; choose one of synth10, timing, timing10s, esc10, .*manifest\.csv"
    with pytest.raises(UsageError, match=listed):
        registry.entry("esc11")


@pytest.mark.parametrize("name", registry.names())
def test_every_card_is_complete(name):
    e = registry.entry(name)
    assert e.embedded or name in load.TABLES
    assert e.clips >= e.classes > 1
    assert e.rate_hz >= 8_000 and e.length_s > 0
    assert all(
        text.strip() and "|" not in text for text in (e.folds, e.protocol, e.layout, e.flaws, e.licence, e.citation)
    )
    assert registry.card(name).startswith(f"## `{name}`: {e.title}\n")


@pytest.mark.parametrize("name", FETCHED)
def test_every_download_is_checked_by_something(name):
    e = registry.entry(name)
    assert e.files and e.needs and e.unpacked_mb > 0
    for file in e.files:
        assert re.fullmatch(r"https?://\S+|[\w.-]+\.zip", file.url), "an address, or a name to look for in the mirror"
        if file.checksum:
            assert re.fullmatch(r"md5:[0-9a-f]{32}|sha256:[0-9a-f]{64}", file.checksum)
        else:
            assert e.manifest and re.search(r"[0-9a-f]{40}", file.url), "an archive made anew is pinned by its commit"


@pytest.mark.parametrize("name", [name for name in FETCHED if registry.entry(name).manifest])
def test_every_manifest_lists_each_clip_once(name):
    e = registry.entry(name)
    listed = download.read_checksums(paths.repo_root() / "data" / "manifests" / e.manifest)
    assert len(listed) == e.clips
    assert all(e.files[0].wanted(path) for path in listed)


def test_file_names_are_the_last_part_of_the_address():
    assert registry.RemoteFile("https://host/a/b/c.zip?download=1").filename == "c.zip"


@pytest.mark.parametrize("name", ["esc50-16k", "speechcommands10"])
def test_what_has_no_address_is_looked_for_in_the_mirror_only(name, tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("COURSE_MIRROR", str(tmp_path))
    (file,) = registry.entry(name).files
    with pytest.raises(CourseError, match=rf"no public address; put {re.escape(file.filename)} into a folder and set"):
        download.get(name)
    assert "from a mirror only" in registry.card(name) and f"`{file.url}`, in the folder that" in registry.card(name)


def test_another_form_stands_in_only_where_the_set_itself_is_not_there(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("COURSE_MIRROR", str(tmp_path))
    assert download.available("esc50") == "esc50"
    (tmp_path / "ESC-50-16k.zip").touch()
    assert download.available("esc50") == "esc50-16k" and download.available("esc10") == "esc10"
    (tmp_path / "master.zip").touch()
    assert download.available("esc50") == "esc50"

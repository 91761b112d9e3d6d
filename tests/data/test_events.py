"""Event lists: read without loss, refused in one line, merged, and to frames and back."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from course_lib.data.events import (
    COLUMNS,
    check,
    from_frames,
    merge_touching,
    read_tsv,
    read_weak_tsv,
    to_frames,
)
from course_lib.errors import CourseError

HEADER = "filename\tonset\toffset\tevent_label\n"
CLASSES = ["dog", "cat"]


def table(*rows):
    return pd.DataFrame(rows, columns=COLUMNS).astype({"onset": float, "offset": float})


def test_a_list_with_files_without_events_is_read(tmp_path):
    """Line ends of Windows, a byte order mark, columns in another order and one more than needed are no matter."""
    lines = [
        "event_label\tfilename\tonset\toffset\tnote",
        "dog\ta.wav\t0.5\t1\tx",
        "\tb.wav\t\t\t",
        "",
        "cat\tc.wav\t2\t2\t",
    ]
    (tmp_path / "list.tsv").write_bytes(b"\xef\xbb\xbf" + "\r\n".join(lines).encode())
    events, filenames = read_tsv(tmp_path / "list.tsv", CLASSES, 10.0)
    pd.testing.assert_frame_equal(
        events, table(("a.wav", 0.5, 1, "dog"), ("c.wav", 2, 2, "cat")), check_dtype=False, check_column_type=False
    )
    assert events["onset"].dtype == float and filenames == ["a.wav", "b.wav", "c.wav"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("filename\tonset\toffset\n", r"list\.tsv: lacks the column event_label; expected a TSV with"),
        ("", r"list\.tsv: lacks the column filename"),
        (HEADER + "a\t0\t1\tdog\n\na\t0,5\t1\tdog\n", r"list\.tsv, line 4: onset '0,5' is not a time in seconds"),
        (HEADER + "a\t\t\t\na\t\t1\tdog\n", r"list\.tsv, line 3: onset '' is not a time in seconds"),
        (HEADER + "a\t0\tnan\tdog\n", r"list\.tsv, line 2: offset 'nan' is not a time"),
        (HEADER + "a\t0\tinf\tdog\n", r"list\.tsv, line 2: offset 'inf' is not a time"),
        (HEADER + "a\t-0.1\t1\tdog\n", r"list\.tsv, line 2: onset '-0\.1' is below 0 s"),
        (HEADER + "a\t2\t1\tdog\n", r"list\.tsv, line 2: offset '1' lies before onset"),
        (HEADER + "a\t0\t1\tdog\na\t9\t10.5\tdog\n", r"list\.tsv, line 3: offset '10\.5' lies beyond .* clip at 10 s"),
        (HEADER + "a\t11\t12\tdog\n", r"list\.tsv, line 2: onset '11' lies beyond"),
        (HEADER + "a\t0\t1\tcow\n", r"list\.tsv, line 2: event_label 'cow' is unknown; expected one of dog, cat"),
        (HEADER + "a\t0\t1\t\n", r"list\.tsv, line 2: event_label '' is unknown"),
        (HEADER + "\t0\t1\tdog\n", r"list\.tsv, line 2: filename '' is not a file name"),
        (
            HEADER + "a\t0\t1\tdog\na\t1\t2\tdog\na\t0.0\t1.0\tdog\n",
            "line 4: event_label 'dog' repeats an earlier row",
        ),
        (HEADER + "a 0 1 dog\n", r"list\.tsv, line 2: has 1 cells, expected 4"),
    ],
)
def test_a_list_with_a_fault_is_refused_by_its_line(tmp_path, text, words):
    (tmp_path / "list.tsv").write_text(text)
    with pytest.raises(CourseError, match=words) as caught:
        read_tsv(tmp_path / "list.tsv", CLASSES, 10.0)
    assert "\n" not in str(caught.value)


def test_files_that_cannot_be_read_are_one_line(tmp_path):
    (tmp_path / "list.tsv").write_bytes(b"\xff\xfe\x00")
    for name, words in (("list.tsv", "it is not text"), ("none.tsv", "No such file"), ("", "Is a directory")):
        with pytest.raises(CourseError, match=f"cannot be read .*{words}"):
            read_tsv(tmp_path / name)


def test_weak_labels(tmp_path):
    path = tmp_path / "weak.tsv"
    path.write_text("filename\tevent_labels\na.wav\tdog, cat\nb.wav\tcat\nc.wav\t\n")
    labels, filenames = read_weak_tsv(path, CLASSES)
    assert labels.to_numpy().tolist() == [["a.wav", "dog"], ["a.wav", "cat"], ["b.wav", "cat"]]
    assert filenames == ["a.wav", "b.wav", "c.wav"], "nothing sounds in the last"
    for row, words in (("d.wav\tcow", "event_label 'cow' is unknown"), ("d.wav\tdog,dog", "repeats an earlier row"),
                       ("d.wav\tdog,", "event_label '' is unknown"), ("\tdog", "is not a file name")):  # fmt: skip
        path.write_text(f"filename\tevent_labels\na.wav\tdog,cat\n{row}\n")
        with pytest.raises(CourseError, match=rf"weak\.tsv, line 3: .*{words}"):
            read_weak_tsv(path, CLASSES)


def test_lists_in_memory_are_refused_by_their_row():
    good = table(("a", 0, 1, "dog"), ("a", 1, 1, "dog"), ("b", 1, 10.0000001, "cat"))
    check(good, CLASSES, 10.0)
    check(good.astype({"event_label": "category", "filename": "category"}), CLASSES, 10.0)
    check(table(), CLASSES)
    check(pd.DataFrame(columns=COLUMNS), CLASSES)
    with pytest.raises(CourseError, match="scenes, row 2: offset nan is not a time in seconds"):
        check(good.assign(offset=[1, np.nan, 2]), CLASSES, where="scenes")
    with pytest.raises(CourseError, match="row 3: event_label 'cat' is unknown"):
        check(good.set_index(pd.Index([7, 7, 7])), ["dog"])
    with pytest.raises(CourseError, match=r"row 1: filename .* is not a file name"):
        check(good.assign(filename=[None, "a", "b"]))


def test_touching_events_become_one():
    events = table(
        ("b", 0.0, 5.0, "dog"), ("b", 1.0, 2.0, "dog"), ("b", 4.9, 6.0, "dog"),  # the first outlasts the second
        ("a", 0.45, 0.6, "dog"), ("a", 0.1, 0.3, "dog"),  # a gap of 0.15000000000000002
        ("a", 0.3, 0.5, "cat"), ("a", 0.5, 0.5, "cat"), ("c", 0.6, 0.7, "dog"),
    )  # fmt: skip
    assert merge_touching(events).to_numpy().tolist() == [
        ["b", 0, 6, "dog"], ["a", 0.1, 0.3, "dog"], ["a", 0.3, 0.5, "cat"], ["a", 0.45, 0.6, "dog"],
        ["c", 0.6, 0.7, "dog"],
    ]  # fmt: skip
    assert merge_touching(events, 0.15).to_numpy().tolist() == [
        ["b", 0, 6, "dog"], ["a", 0.1, 0.6, "dog"], ["a", 0.3, 0.5, "cat"], ["c", 0.6, 0.7, "dog"],
    ]  # fmt: skip
    assert merge_touching(table()).empty


def test_merging_keeps_what_is_covered_and_leaves_no_small_gap():
    rng = np.random.default_rng(0)
    first, length = rng.integers(0, 200, 400), rng.integers(1, 12, 400)
    files, labels = rng.choice(["a", "b", "c"], 400), rng.choice(CLASSES, 400)
    events = table(*zip(files, first / 20, (first + length) / 20, labels, strict=True))
    frames = to_frames(events, ["a", "b", "c"], CLASSES, 220, 0.05)
    merged = merge_touching(events)
    np.testing.assert_array_equal(to_frames(merged, ["a", "b", "c"], CLASSES, 220, 0.05), frames)
    assert len(merged) == len(from_frames(frames, ["a", "b", "c"], CLASSES, 0.05))
    for _, sound in merge_touching(events, 0.1).groupby(["filename", "event_label"]):
        assert (sound["onset"].to_numpy()[1:] - sound["offset"].to_numpy()[:-1] > 0.1 + 1e-9).all()


def test_a_frame_is_active_where_its_middle_is_covered():
    rng = np.random.default_rng(1)
    frame_s, n_frames = 0.064, 156
    rows = [(str(rng.integers(3)), on, min(on + rng.exponential(0.1), 10), CLASSES[rng.integers(2)])
            for on in rng.uniform(0, 10, 300)]  # fmt: skip
    expected = np.zeros((3, n_frames, 2), bool)
    middles = (np.arange(n_frames) + 0.5) * frame_s
    for file, onset, offset, label in rows:
        covered = (middles >= onset) & (middles < offset)
        if not covered.any():
            covered[min(int((onset + offset) / 2 // frame_s), n_frames - 1)] = True
        expected[int(file), :, CLASSES.index(label)] |= covered
    np.testing.assert_array_equal(to_frames(table(*rows), ["0", "1", "2"], CLASSES, n_frames, frame_s), expected)


def test_runs_of_frames_are_events_by_hand():
    active = np.zeros((2, 5, 2), bool)
    active[0, [0, 1, 4], 1] = True
    active[1, 2:, 0] = True
    events = from_frames(active, ["a", "b"], CLASSES, 0.5)
    assert events.to_numpy().tolist() == [["a", 0, 1, "cat"], ["a", 2, 2.5, "cat"], ["b", 1, 2.5, "dog"]]
    cut = from_frames(active, ["a", "b"], CLASSES, 0.5, clip_s=2.0)
    assert cut.to_numpy().tolist() == [["a", 0, 1, "cat"], ["b", 1, 2, "dog"]]
    early = from_frames(active, ["a", "b"], CLASSES, 0.5, first_s=-0.1)
    assert early.to_numpy().tolist() == [["a", 0, 0.9, "cat"], ["a", 1.9, 2.4, "cat"], ["b", 0.9, 2.4, "dog"]]
    assert from_frames(active & False, ["a", "b"], CLASSES, 0.5).to_numpy().tolist() == []
    check(from_frames(active & False, ["a", "b"], CLASSES, 0.5), CLASSES)


@given(arrays(bool, st.tuples(*(st.integers(1, n) for n in (3, 40, 3)))), st.floats(1e-3, 7, exclude_min=True))
def test_frames_survive_being_events(active, frame_s):
    files, classes = list("xyz")[: active.shape[0]], list("abc")[: active.shape[2]]
    events = from_frames(active, files, classes, frame_s)
    check(events, classes, active.shape[1] * frame_s)
    np.testing.assert_array_equal(to_frames(events, files, classes, active.shape[1], frame_s), active)
    assert len(merge_touching(events)) == len(events)


def test_frames_of_other_things_are_refused():
    events = table(("a", 0, 1, "dog"))
    for given_, words in (
        ((["b"], CLASSES, 5, 0.5), "filename 'a' is not one of the 1 known ones"),
        ((["a"], ["cat"], 5, 0.5), "event_label 'dog' is not one"),
        ((["a", "a"], CLASSES, 5, 0.5), "filename 'a' is listed twice"),
    ):
        with pytest.raises(ValueError, match=words):
            to_frames(events, *given_)
    with pytest.raises(ValueError, match=r"a: an event from 7\.0 s to 8\.0 s; there are 5 frames of 0\.5 s"):
        to_frames(table(("a", 0, 1, "dog"), ("a", 7, 8, "dog")), ["a"], CLASSES, 5, 0.5)
    for active in (np.zeros((1, 5, 2)), np.zeros((2, 5, 2), bool), np.zeros((1, 5), bool)):
        with pytest.raises(ValueError, match="expected bool"):
            from_frames(active, ["a"], CLASSES, 0.5)

"""Accuracy beside measured time."""

import json

import pandas as pd
import pytest

from course_lib.analysis import frontier
from course_lib.errors import CourseError


@pytest.fixture
def measured(tmp_path, monkeypatch):
    """A file of four conditions whose log-mel takes 1 ms, or half of it in batches; and others to leave out."""
    rows = []
    for reducer, hop_ms, macs, network_ms, features_ms in (
        ("none", 10.0, 100, 3.0, 1.0),
        ("diffres-light:0.5", 10.0, 50, 4.0, 5.0),
        ("none", 40.0, 25, 0.5, 0.5),
        ("average:0.5", 10.0, 50, 1.0, 1.5),
    ):
        for batch in (1, 16):
            rows.append(
                {
                    "model": "cnn7", "hop_ms": hop_ms, "frame_reducer": reducer, "batch": batch, "threads": 1,
                    "macs": macs, "features_ms": features_ms / (2 if batch == 16 else 1),
                    "network_ms": network_ms / batch,
                }
            )  # fmt: skip
    rows += [{**row, "threads": 2, "network_ms": 100.0, "features_ms": 0.1} for row in rows]
    rows += [{**row, "model": "cnn9", "network_ms": 200.0, "features_ms": 9.0} for row in rows[:2]]
    path = tmp_path / "frontier.json"
    path.write_text(json.dumps({"rows": rows, "provenance": {"processor": "Z80", "date": "1976-07-01T00:00"}}))
    monkeypatch.setattr(frontier, "path", lambda: path)


@pytest.fixture
def trained(monkeypatch):
    """All of them but average pooling have rows."""
    rows = [
        {
            "dataset": "esc10", "model": "cnn7", "recipe.steps": 800, "features.window_ms": 25.0,
            "features.hop_ms": hop_ms, "frame_reducer": reducer, "fold": fold, "seed": 0, "test_accuracy": 0.5,
            "test_clips": ["a", "b"], "test_sources": ["a", "b"], "test_correct": [True, False],
            "key": f"{reducer}{fold}",
        }
        for reducer, hop_ms in (("none", 10.0), ("diffres-light:0.5", 10.0), ("none", 40.0))
        for fold in (1, 2)
    ]  # fmt: skip
    monkeypatch.setattr(frontier.questions, "published", lambda grid: pd.DataFrame(rows))


def test_conditions_with_the_same_hop_share_the_least_time_of_the_log_mel(measured):
    one = (
        frontier.times().query("batch == 1 and threads == 1 and model == 'cnn7'").set_index(["frame_reducer", "hop_ms"])
    )
    assert one["ms"].to_dict() == {
        ("none", 10.0): 4.0, ("diffres-light:0.5", 10.0): 5.0, ("none", 40.0): 1.0, ("average:0.5", 10.0): 2.0,
    }  # fmt: skip
    assert one["ms_ratio"].to_dict()["diffres-light:0.5", 10.0] == 1.25
    assert one["macs_ratio"].to_dict()["none", 40.0] == 0.25


def test_each_batch_size_is_compared_with_its_own_usual_condition(measured):
    rows = frontier.times().query("model == 'cnn7'").set_index(["threads", "batch", "frame_reducer", "hop_ms"])
    assert rows["ms_ratio"][1, 16, "none", 10.0] == rows["ms_ratio"][2, 1, "none", 10.0] == 1
    assert rows["ms_ratio"][1, 16, "diffres-light:0.5", 10.0] == pytest.approx((0.5 + 4 / 16) / (0.5 + 3 / 16))


def test_only_what_was_timed_and_trained_is_in_the_table_and_the_figure(measured, trained):
    found = frontier.table()
    assert set(found["frame_reducer"]) == {"none", "diffres-light:0.5"} and set(found["accuracy"]) == {50.0}
    assert len(found) == 6 and found["ms"].max() < 10, "one thread and CNN7 alone"
    fig = frontier.figure(found)
    names = [label.get_text() for label in fig.axes[0].get_yticklabels()]
    assert names == [
        "all frames of 40 ms (50.0 %)",
        "all frames of 10 ms (50.0 %)",
        "DiffRes (light scorer), 50 % of the frames (50.0 %)",
    ]
    in_batches = (0.5 / 2 + 0.5 / 16) / (1 / 2 + 3 / 16)
    assert f"all frames of 40 ms (50.0 %) 0.25, {in_batches:.2f} and 0.25" in frontier.text(found)


def test_the_machine_is_named(measured):
    assert frontier.measured_on() == "Z80, 1976-07-01"


def test_without_a_measurement_one_line_says_what_to_run(tmp_path, monkeypatch):
    monkeypatch.setattr(frontier, "path", lambda: tmp_path / "gone.json")
    for ask in (frontier.times, frontier.measured_on):
        with pytest.raises(CourseError, match=r"gone.json: not found; restore it"):
            ask()

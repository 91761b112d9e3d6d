"""Accuracy beside measured time."""

import json

import pandas as pd
import pytest

from course_lib.analysis import frontier


@pytest.fixture
def measured(tmp_path, monkeypatch):
    """A file of four conditions whose log-mel took 1 ms at least, and their rows."""
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
                    "macs": macs, "features_ms": features_ms, "network_ms": network_ms / batch,
                }
            )  # fmt: skip
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
    rows = frontier.times()
    one = rows[rows["batch"] == 1].set_index(["frame_reducer", "hop_ms"])
    assert one["ms"].to_dict() == {
        ("none", 10.0): 4.0, ("diffres-light:0.5", 10.0): 5.0, ("none", 40.0): 1.0, ("average:0.5", 10.0): 2.0,
    }  # fmt: skip
    assert one["ms_ratio"].to_dict()["diffres-light:0.5", 10.0] == 1.25
    assert one["macs_ratio"].to_dict()["none", 40.0] == 0.25


def test_each_batch_size_is_compared_with_its_own_usual_condition(measured):
    rows = frontier.times().set_index(["frame_reducer", "hop_ms", "batch"])
    assert rows["ms_ratio"]["none", 10.0, 16] == 1
    assert rows["ms_ratio"]["diffres-light:0.5", 10.0, 16] == pytest.approx((1 + 4 / 16) / (1 + 3 / 16))


def test_only_what_was_timed_and_trained_is_in_the_table_and_the_figure(measured, trained):
    found = frontier.table()
    assert set(found["frame_reducer"]) == {"none", "diffres-light:0.5"} and set(found["accuracy"]) == {50.0}
    fig = frontier.figure(found)
    names = [label.get_text() for label in fig.axes[0].get_yticklabels()]
    assert names == [
        "all frames of 40 ms (50.0 %)",
        "all frames of 10 ms (50.0 %)",
        "DiffRes (light scorer), 50 % of the frames (50.0 %)",
    ]
    assert "all frames of 40 ms (50.0 %) 0.25, 0.45 and 0.25" in frontier.text(found)


def test_the_machine_is_named(measured):
    assert frontier.measured_on() == "Z80, 1976-07-01"

"""Figures of published rows show the numbers of the table that they are given."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from course_lib import paths
from course_lib.analysis import figures
from course_lib.data import events

SUMMARY = pd.DataFrame(
    {"features.hop_ms": [80.0, 5.0, 20.0], "accuracy": [0.7, 0.8, 0.9], "low": [0.6, 0.7, 0.85],
     "high": [0.75, 0.9, 0.95], "macs": [1e7, 16e7, 4e7]}
)  # fmt: skip


def test_hops_rise_to_the_right_and_costs_are_in_millions():
    fig = figures.hop_figure(SUMMARY)
    left, right = fig.axes
    line = left.containers[0][0]
    assert line.get_xdata().tolist() == [5, 20, 80]
    assert line.get_ydata() == pytest.approx([80, 90, 70])
    points = right.collections[0].get_offsets().tolist()
    assert np.allclose(points, [[160, 80], [40, 90], [10, 70]])
    assert [t.get_text() for t in right.texts] == ["5 ms", "20 ms", "80 ms"]
    assert (left.get_xlabel(), right.get_xlabel()) == ("hop (ms)", "million MACs a clip")
    plt.close(fig)
    assert "80.0 % at 5 ms, 90.0 % at 20 ms, 70.0 % at 80 ms" in figures.hop_text(SUMMARY)


def published(folder, grid, **columns):
    """A summary of a grid below `folder`."""
    (folder / grid).mkdir()
    pd.DataFrame(columns).to_csv(folder / grid / "summary.csv", index=False)


def test_sweeps_are_told_apart_by_window_and_steps(tmp_path):
    assert figures.hop_sweeps(tmp_path) == {}
    share = {"accuracy": [0.8, 0.7, 0.6], "low": [0.7, 0.6, 0.5], "high": [0.9, 0.8, 0.7]}
    hops = {"features.hop_ms": [20.0, 10.0, 20.0]}
    published(tmp_path, "lesson", part=["hop", "hop", "overlap"], **hops, **share)
    fronts, parts = ["none", "none", "diffres:0.5"], ["patience", "patience, finer", "patience"]
    published(tmp_path, "diffres", part=parts, frame_reducer=fronts, **hops, **share)
    sweeps = figures.hop_sweeps(tmp_path)
    assert [rows["features.hop_ms"].tolist() for rows in sweeps.values()] == [[10, 20], [20], [10, 20]]
    fig = figures.sweeps_figure(sweeps)
    lines = [bar[0] for bar in fig.axes[0].containers]
    assert [line.get_ydata().tolist() for line in lines] == [pytest.approx(y) for y in ([70, 80], [60], [70, 80])]
    assert [t.get_text() for t in fig.axes[0].get_legend().get_texts()] == list(sweeps)
    assert "window 25 ms, 800 steps: 70.0 % at 10 ms, 80.0 % at 20 ms" in figures.sweeps_text(sweeps)
    plt.close(fig)


def scene_grid():
    """Rows of a grid on scenes: three subsets from two starts each, and one start with another teacher."""
    starts = [("spectral", 0.60, 0.64), ("auditory", 0.80, 0.82), ("spectral+auditory+visual", 0.81, 0.83)]
    rows = [
        {"fold": 1, "seed": seed, "streams": streams, "recipe.ema_decay": 0.98, "fusion": "mid", "test_tagging_f1": f1}
        for streams, *values in starts
        for seed, f1 in enumerate(values)
    ]
    rows.append(rows[2] | {"recipe.ema_decay": 0.0, "test_tagging_f1": 0.1})
    fixed = {"test_segment_f1": 0.5, "test_event_f1": 0.1, "parameters": 1, "train_seconds": 1.0, "status": "done"}
    return pd.DataFrame(rows).assign(**fixed)


def test_usual_scenes_leave_out_what_is_rare_anywhere():
    table = scene_grid()
    assert len(figures.usual_scenes(table, "streams")) == 6
    assert sorted(figures.usual_scenes(table, "streams", "recipe.ema_decay")["recipe.ema_decay"])[0] == 0
    few = table[(table["streams"] == "auditory") & ((table["seed"] == 0) | (table["recipe.ema_decay"] == 0))]
    chosen = figures.usual_scenes(pd.concat([few, table[table["streams"] != "auditory"]]), "streams")
    assert chosen.loc[chosen["streams"] == "auditory", "recipe.ema_decay"].tolist() == [0.98]
    assert figures.usual_scenes(pd.DataFrame()).empty


def test_subsets_show_means_over_starts_pairs_and_the_papers_crosses():
    pairs = pd.DataFrame(
        {"question": ["auditory better than spectral", "open"], "paper": [4.8, None], "difference": [0.19, 0.0],
         "low": [0.1, -0.1], "high": [0.28, 0.1]}
    )  # fmt: skip
    paper = {"spectral": 76.0, "auditory": 81.0}
    fig = figures.scenes_subsets_figure(scene_grid(), pairs, paper)
    left, right = fig.axes
    assert [t.get_text() for t in left.get_yticklabels()] == ["spectral", "auditory", "spectral+auditory+visual"]
    assert [c[0].get_xdata()[0] for c in left.containers] == pytest.approx([62, 81, 82])
    assert left.get_lines()[-1].get_xdata()[:2].tolist() == [76, 81] and np.isnan(left.get_lines()[-1].get_xdata()[2])
    assert [c[0].get_xdata()[0] for c in right.containers] == pytest.approx([19, 0])
    assert right.get_lines()[-1].get_xdata()[0] == 4.8
    text = figures.scenes_subsets_text(scene_grid(), pairs, paper)
    assert "spectral 62.0 (" in text and "the paper's: spectral 76.0, auditory 81.0." in text
    assert "auditory better than spectral +19.0 (+10.0 to +28.0)" in text
    plt.close(fig)


def test_rows_on_scenes_are_the_published_ones_else_those_of_a_run(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "published_dir", lambda: tmp_path / "results")
    monkeypatch.setattr(paths, "runs_dir", lambda: tmp_path / "runs")
    assert figures.scene_rows().empty
    records = tmp_path / "runs" / "study" / "scenes" / "records"
    records.mkdir(parents=True)
    (records / "a.json").write_text('{"key": "a", "status": "done"}')
    (records / "b.json").write_text('{"key": "b", "status": "failed"}')
    assert figures.scene_rows()["key"].tolist() == ["a"]
    (tmp_path / "results" / "scenes").mkdir(parents=True)
    pd.DataFrame({"key": ["c"], "status": ["done"]}).to_parquet(tmp_path / "results" / "scenes" / "rows.parquet")
    assert figures.scene_rows()["key"].tolist() == ["c"]


def test_lanes_hold_what_is_heard_above_what_is_in_view():
    heard = pd.DataFrame([("a", 1.0, 2.0, "dog"), ("a", 4.0, 7.0, "dog")], columns=events.COLUMNS)
    seen = pd.DataFrame([("a", 0.0, 9.0, "dog"), ("a", 0.0, 10.0, "clock_tick")], columns=events.COLUMNS)
    fig, ax = plt.subplots()
    figures.lanes(heard, seen, 10.0, ax)
    assert [t.get_text() for t in ax.get_yticklabels()] == ["clock tick", "dog"]
    boxes = sorted(tuple(p.get_extents().bounds) for bars in ax.collections for p in bars.get_paths())
    assert np.allclose(boxes, [(0, -0.4, 10, 0.4), (0, 0.6, 9, 0.4), (1, 1, 1, 0.4), (4, 1, 3, 0.4)])
    plt.close(fig)

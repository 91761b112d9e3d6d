"""Figures of published rows show the numbers of the table that they are given."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from course_lib import paths
from course_lib.analysis import figures, probe, questions
from course_lib.data import events

SWEEPS = {
    "coarse": pd.DataFrame({"hop_ms": [20.0, 80.0], "mean": [90.0, 70.0], "low": [85.0, 60.0], "high": [95.0, 75.0]}),
    "fine": pd.DataFrame({"hop_ms": [2.5, 5.0], "mean": [99.0, 80.0], "low": [98.0, 70.0], "high": [100.0, 90.0]}),
}


def test_every_sweep_has_a_panel_of_its_own():
    fig = figures.hops_figure(SWEEPS)
    assert [ax.get_title(loc="left") for ax in fig.axes] == list(SWEEPS)
    assert [ax.get_lines()[0].get_ydata().tolist() for ax in fig.axes] == [[90, 70], [99, 80]]
    assert [t.get_text() for t in fig.axes[1].get_xticklabels()] == ["2.5", "5"]
    plt.close(fig)
    assert "coarse: 90.0 and 70.0 % at 20 and 80 ms; fine: 99.0 and 80.0 % at 2.5 and 5 ms" in figures.hops_text(SWEEPS)


def test_a_hop_of_a_larger_set_is_drawn_once_it_has_all_its_runs(monkeypatch):
    usual = {"frame_reducer": "none", "copies": "none", "recipe.image_augment": False, "recipe.guide": 0.0,
             "recipe.steps": 4000, "test_clips": ["a", "b"], "test_sources": ["s", "t"]}  # fmt: skip
    conditions = [
        (10.0, 25.0, "none", 2),
        (20.0, 50.0, "none", 1),
        (20.0, 25.0, "none", 0),
        (10.0, 25.0, "flux:0.5", 0),
    ]
    rows = [
        usual | {"features.hop_ms": hop_ms, "features.window_ms": window_ms, "frame_reducer": reducer, "fold": fold,
                 "seed": seed, "test_accuracy": right / 2, "test_correct": [right > 0, right > 1]}
        for hop_ms, window_ms, reducer, right in [*conditions, (40.0, 100.0, "none", 1)]
        for fold in range(1, 6) for seed in (0, 1)
    ]  # fmt: skip
    published = {"words": pd.DataFrame(rows[:-1]), "esc50": pd.DataFrame()}  # 40 ms lacks a run
    monkeypatch.setattr(questions, "published", lambda grid: published[grid])
    (title, table), *others = figures.long_sweeps().items()
    assert title == "ten spoken words, 4,000 steps" and not others
    assert table[["hop_ms", "mean"]].to_numpy().tolist() == [[10, 100], [20, 50]]
    published["words"] = pd.DataFrame()
    assert figures.long_sweeps() == {}


def test_runs_of_the_probe_are_counted_by_condition():
    rows = pd.DataFrame(
        {"frame_reducer": ["none"] * 2 + ["diffres-light:0.75"] * 3, "features.hop_ms": 2.5, "fold": [1, 2, 1, 2, 2],
         "test_accuracy": [1.0, 0.99, 0.97, 0.7, 0.95], "validation_accuracy": [1, 1, 1, 0.7, 0.9],
         "validation_loss": 0.1}
    )  # fmt: skip
    table = probe.successes(rows)
    assert table["condition"].tolist() == ["all frames of 2.5 ms", "DiffRes (light scorer), 25 % of the frames"]
    table = table.set_index("frame_reducer").loc["diffres-light:0.75"]
    assert (table["successes"], table["runs"]) == (2, 3)
    assert table["best_of_three"] == pytest.approx((0.97 + 0.95) / 2), "chosen by validation, fold by fold"
    assert table["succeeded"] == pytest.approx(0.96) and table["low"] < 2 / 3 < table["high"]


def test_hops_recognise_on_the_left_and_localise_on_the_right():
    columns = ["hop_ms", "tagging", "tagging_low", "tagging_high", "gap", "gap_low", "gap_high"]
    by_hop = pd.DataFrame([(40, 70, 68, 72, -1, -9, 7), (320, 86, 85, 87, -3, -4, -2)], columns=columns)
    fig = figures.localisation_figure(by_hop, {"log-mel": 68.0, "every class": 37.0})
    left, right = fig.axes
    assert [ax.containers[0][0].get_ydata().tolist() for ax in (left, right)] == [[70, 86], [-1, -3]]
    assert {line.get_ydata()[0] for line in left.get_lines()} >= {68, 37}
    assert "-3.0 (-4.0 to -2.0) at 320 ms" in figures.localisation_text(by_hop, {"log-mel": 68.0, "every class": 37.0})
    plt.close(fig)


def test_controls_are_drawn_with_both_intervals():
    answers = pd.DataFrame([(questions.LONG, text, 0.01, -0.01, 0.03, -0.02, 0.04) for text in figures.WIDTHS],
                           columns=["where", "question", "difference", "low", "high", "corrected_low",
                                    "corrected_high"])  # fmt: skip
    fig = figures.widths_figure(pd.concat([answers[::-1], answers.assign(where=questions.SHORT)]))
    ax = fig.axes[0]
    assert [t.get_text() for t in ax.get_yticklabels()] == list(figures.WIDTHS.values())
    wide = [line.get_xdata().tolist() for line in ax.get_lines() if line.get_linewidth() == 6]
    assert len(wide) == len(figures.WIDTHS) and wide[0] == pytest.approx([-2, 4])
    assert "equal widths +1.0 (-1.0 to +3.0)" in figures.widths_text(answers)
    plt.close(fig)


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

"""Systems by budget: each once, named as it was run, and drawn in the panel of its budget."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from made_rows import clip_row

from course_lib.analysis import latency, pareto, questions


def row(right, macs, seed=0, **fields):
    measured = {"latency_ms": 4.0, "device": "cpu", "device_name": "a chip"}
    return clip_row(right, seed=seed, macs=macs, parameters=5, **measured | fields)


GRIDS = {
    "lesson": [row(12, 40e6), row(14, 40e6, seed=1), row(16, 80e6, **{"features.hop_ms": 5.0}),
               row(20, 1e6, **{"features.window_ms": 99.0}), row(20, 1e6, **{"recipe.steps": 800})],
    "diffres": [row(15, 20e6, frame_reducer="diffres-light:0.5", **{"recipe.steps": 800}),
                row(14, 20e6, frame_reducer="uniform:0.75", **{"recipe.steps": 800, "features.hop_ms": 2.5}),
                row(20, 1e6, dataset="fsdd", frame_reducer="uniform:0.5", **{"recipe.steps": 800})],
    "transfer": [row(19, 400e6, model="lite0", copies="naa", **{"recipe.mixup": 0.0}),
                 row(17, 400e6, model="lite0", **{"recipe.mixup": 0.0, "recipe.freeze_steps": 9, "recipe.steps": 9}),
                 row(18, 400e6, model="lite0", **{"recipe.mixup": 0.0, "recipe.image_augment": True}),
                 row(9, 400e6, model="lite0-scratch", **{"recipe.mixup": 0.0}),
                 row(16, 900e6, model="lite0"), row(18, 900e6, model="lite0", refit=True),
                 row(17, 900e6, model="lite0", **{"recipe.steps": 120})],
    "transformers": [row(13, 60e6, model="mast-tiny"), row(20, 1e6, dataset="fsdd", model="mast-tiny")],
}  # fmt: skip


@pytest.fixture
def table():
    return pareto.table(lambda name: pd.DataFrame(GRIDS.get(name, [])))


def test_a_system_is_named_and_measured(table):
    found = table.set_index(["panel", "system"])
    assert found.loc[(pareto.SHORT, "10 ms"), "accuracy"] == pytest.approx(65)
    assert found.loc[(pareto.SHORT, "10 ms"), ["macs", "seeds", "folds"]].tolist() == [40, 2, 1]
    assert found.loc[(pareto.SHORT, "10 ms"), "ms_cpu"] == 4 and np.isnan(found.loc[(pareto.SHORT, "10 ms"), "ms_gpu"])
    assert set(found.index) == {
        (pareto.SHORT, "10 ms"), (pareto.SHORT, "5 ms"), (pareto.LONG, "light -50 %"),
        (pareto.LONG, "uniform -75 % from 2.5 ms"), (pareto.SCRATCH, "MAST"),
        *((pareto.LITE0, name) for name in ("Lite0, clips", "Lite0, last layer only", "Lite0, pictures",
                                            "Lite0 from scratch")),
        *((pareto.LARGE, name) for name in ("10 ms, 64 bands, 240 steps", "10 ms, 64 bands, 120 steps",
                                            "10 ms, 64 bands, 240 steps, 4 folds")),
    }, "other windows, budgets and data sets are other questions"  # fmt: skip


def test_every_timed_point_is_drawn_in_the_panel_of_its_budget(table):
    fig = pareto.systems_figure(table)
    for ax, panel in zip(fig.axes, pareto.DRAWN, strict=True):
        points = [np.column_stack(bar[0].get_data()) for bar in ax.containers]
        wanted = table[table["panel"] == panel][["ms_cpu", "accuracy"]].to_numpy()
        assert sorted(map(tuple, np.concatenate(points))) == sorted(map(tuple, wanted)) and len(wanted)
        markers = [bar[0].get_marker() for bar in ax.containers]
        assert len(set(markers)) == len(markers), "no family by its colour alone"
    named = {t.get_text() for t in fig.axes[1].texts}
    assert "light -50 %" in named and "uniform -75 % from 2.5 ms" not in named
    assert "light -50 % 75.0 % at 4.0 ms" in pareto.systems_text(table)
    plt.close(fig)


def test_names_hide_neither_points_nor_each_other():
    found = pareto.table()
    fig = pareto.systems_figure(found)
    for ax, panel in zip(fig.axes, pareto.DRAWN, strict=True):
        boxes = [text.get_window_extent() for text in ax.texts]
        assert len(boxes) > 2
        assert not [(i, j) for i, box in enumerate(boxes) for j in range(i) if box.overlaps(boxes[j])]
        drawn = found[(found["panel"] == panel) & found["ms_cpu"].notna()]
        points = ax.transData.transform(drawn[["ms_cpu", "accuracy"]].to_numpy())
        hidden = [ax.texts[i].get_text() for i, box in enumerate(boxes) if any(box.contains(*p) for p in points)]
        assert not hidden
    plt.close(fig)


def test_published_systems_are_all_families_that_were_run():
    found = pareto.table()
    run = {(f.panel, f.label) for f in pareto.FAMILIES if len(questions.published(f.grid))}
    assert set(zip(found["panel"], found["family"], strict=True)) == run
    assert not found.duplicated(["panel", "system"]).any()


def test_times_are_medians_by_network_and_kind_of_machine():
    rows = pd.DataFrame([row(1, 1, latency_ms=ms, device=device, device_name=name, **{"recipe.steps": steps})
                         for ms, device, name, steps in ((3.0, "cpu", "a chip", 240), (5.0, "cpu", "a chip", 800),
                                                         (1.0, "cuda:0", "a card", 800))])  # fmt: skip
    rows = pd.concat([rows, rows.assign(frame_reducer="uniform:0.5", latency_ms=9.0)], ignore_index=True)
    assert latency.milliseconds(rows, rows.iloc[0]) == {"CPU": 4.0, "GPU": 1.0}, "whatever the number of steps"
    assert latency.text({"CPU": 4.0, "GPU": 1.0}) == "4.0 CPU, 1.0 GPU"
    assert "CPU: one thread of a processor (a chip); GPU: a card." in latency.machines(rows)

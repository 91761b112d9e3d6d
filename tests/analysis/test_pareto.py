"""All systems in one plane: each once, named as it was run, and the Pareto front is what none beats in both."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from made_rows import clip_row

from course_lib.analysis import pareto, questions


def row(right, macs, seed=0, **fields):
    return clip_row(right, seed=seed, macs=macs, parameters=5, **fields)


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
    found = table.set_index(["family", "system"])
    assert found.loc[("fixed hop, 240 steps", "10 ms"), "accuracy"] == pytest.approx(65)
    assert found.loc[("fixed hop, 240 steps", "10 ms"), ["macs", "seeds", "folds"]].tolist() == [40, 2, 1]
    assert set(found.index) == {
        ("fixed hop, 240 steps", "10 ms"), ("fixed hop, 240 steps", "5 ms"), ("DiffRes, 800 steps", "light -50 %"),
        ("merged by rule, 800 steps", "uniform -75 % from 2.5 ms"),
        ("transformers, 600 steps", "MAST"),
        *(("Lite0, from photographs", s) for s in ("clips augmented", "frozen", "pictures augmented", "from scratch",
                                                   "10 ms, 64 bands, 240 steps", "10 ms, 64 bands, 120 steps",
                                                   "10 ms, 64 bands, 240 steps, 4 folds")),
    }, "other windows, budgets and data sets are other questions"  # fmt: skip


def test_the_front_is_what_no_other_beats_in_both(table):
    assert table.loc[table["pareto_optimal"], "system"].tolist() == ["5 ms", "light -50 %", "clips augmented"]


def test_every_point_is_drawn_with_its_interval_and_told(table):
    fig = pareto.systems_figure(table)
    ax = fig.axes[0]
    points = np.concatenate([np.column_stack(bar[0].get_data()) for bar in ax.containers])
    assert sorted(map(tuple, points)) == sorted(map(tuple, table[["macs", "accuracy"]].to_numpy()))
    markers = [bar[0].get_marker() for bar in ax.containers]
    assert len(set(markers)) == len(markers) == table["family"].nunique(), "no family by its colour alone"
    names = {t.get_text() for t in ax.texts}
    assert {"10 ms", "5 ms", "light -50 %", "frozen"} <= names and "uniform -75 % from 2.5 ms" not in names
    assert "light -50 % 75.0 % at 20" in pareto.systems_text(table)
    plt.close(fig)


def test_names_hide_neither_points_nor_each_other():
    found = pareto.table()
    fig = pareto.systems_figure(found)
    ax = fig.axes[0]
    boxes = [text.get_window_extent() for text in ax.texts]
    assert len(boxes) > 10
    assert not [(i, j) for i, box in enumerate(boxes) for j in range(i) if box.overlaps(boxes[j])]
    points = ax.transData.transform(found[["macs", "accuracy"]].to_numpy())
    assert not [ax.texts[i].get_text() for i, box in enumerate(boxes) if any(box.contains(*point) for point in points)]
    plt.close(fig)


def test_published_systems_are_all_families_that_were_run():
    found = pareto.table()
    run = {f.label for f in pareto.FAMILIES if len(questions.published(f.grid))}
    assert set(found["family"]) == run and not found.duplicated(["family", "system"]).any()
    assert len(pareto.MARKERS) == len(pareto.COLOURS) == len(pareto.FAMILIES)

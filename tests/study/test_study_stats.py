"""What rows say, on rows made up so that the answer is known."""

import json
import math

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from made_rows import clip_row

from course_lib.errors import CourseError, UsageError
from course_lib.evaluation.intervals import accuracy_by_source
from course_lib.study import records as study_rows
from course_lib.study import stats
from course_lib.study.config import RunSpec, to_dict

CLIPS = 8  # a fold, two of a source


def row(hop_ms, fold, seed, right, **more):
    """A row that judged the first `right` clips of a fold right."""
    given = {"key": f"{hop_ms}-{fold}-{seed}", "features.hop_ms": float(hop_ms), "content": "c", "commit": "abc",
             "device_name": "x", "parameters": 10, "macs": 100, "chosen_step": 4, "minutes": 1.0, "dataset": "synth10",
             "validation_accuracy": 0.5, "test_predicted": [1] * right + [0] * (CLIPS - right),
             "test_sources": [f"{fold}-{k // 2}" for k in range(CLIPS)]}  # fmt: skip
    return clip_row(right, fold, seed, n=CLIPS, **given | more)


@pytest.fixture
def table():
    """Hop 10: 6 of 8 clips right. Hop 20: by fold 4, 5, 6 with seed 0, two fewer with seed 1."""
    made = [row(10, fold, seed, 6) for fold in (1, 2, 3) for seed in (0, 1)]
    made += [row(20, fold, seed, 3 + fold - 2 * seed) for fold in (1, 2, 3) for seed in (0, 1)]
    return pd.DataFrame(made)


def test_conditions_are_what_varies_but_not_folds_and_seeds(table):
    assert stats.condition_fields(table) == ["features.hop_ms"]
    assert stats.condition_fields(table[:6]) == []


def test_a_summary_of_known_rows(table):
    found = stats.summarise(table)
    first, second = found.to_dict("records")
    assert (first["features.hop_ms"], second["features.hop_ms"]) == (10, 20)
    assert first["accuracy"] == 6 / 8 and second["accuracy"] == pytest.approx((4 + 5 + 6 + 2 + 3 + 4) / 48)
    assert (first["folds"], first["seeds"], first["rows"], first["clips"], first["sources"]) == (3, 2, 6, 24, 12)
    assert first["pairs"] == 0 and math.isnan(first["difference"])
    # by fold, seeds averaged: (3, 4, 5) - 6 eighths, that is -3, -2, -1 eighths; t of two degrees of freedom is 4.3027
    assert (second["pairs"], second["paired_by"]) == (3, "fold")
    assert second["difference"] == pytest.approx(-2 / 8)
    half = 4.302653 / 8 / math.sqrt(3)
    assert second["difference_low"] == pytest.approx(-2 / 8 - half, rel=1e-6)
    assert second["difference_high"] == pytest.approx(-2 / 8 + half, rel=1e-6)
    assert second["minimum_detectable_effect"] == pytest.approx(stats.minimum_detectable_effect(1 / 8, 3))


def test_more_seeds_are_no_more_sounds(table):
    """The interval is that of the clips with the judgements of the seeds averaged."""
    found = stats.accuracy(table[6:])
    share = [[(k < 3 + fold) + (k < 1 + fold) for k in range(CLIPS)] for fold in (1, 2, 3)]
    sources = [[f"{fold}-{k // 2}" for k in range(CLIPS)] for fold in (1, 2, 3)]
    wanted = accuracy_by_source(np.ravel(share) / 2, np.ravel(sources))
    assert (found.mean, found.low, found.high) == pytest.approx((wanted.mean, wanted.low, wanted.high))
    one_source = table[:1].assign(test_sources=[["a"] * CLIPS])
    assert math.isnan(stats.accuracy(one_source).low)


def test_folds_of_other_sizes_count_the_same_in_the_mean_and_in_its_interval():
    """As 633 clips of one fold and 40 of another: an interval of pooled clips would not even hold the mean."""
    made = [clip_row(right, fold, n=n) for fold, (right, n) in enumerate(((360, 400), (20, 40), (20, 40)), 1)]
    found = stats.accuracy(pd.DataFrame(made))
    assert found.mean == pytest.approx(1.9 / 3) and found.low < 0.6 and 0.65 < found.high < 0.75


def test_one_fold_is_paired_by_seed_and_one_row_not_at_all(table):
    of_fold = table[table["fold"] == 1]
    found = stats.summarise(of_fold).iloc[1]
    assert (found["pairs"], found["paired_by"]) == (2, "seed") and found["difference"] == pytest.approx(-3 / 8)
    assert stats.difference(table[:1], table[6:7]) is None
    assert stats.difference(table[:6], table[:6]).minimum_detectable_effect == 0


def test_a_condition_is_compared_with_the_one_that_is_asked_for(table):
    other = pd.concat([table, table.assign(model="cnn9", key=table["key"] + "x")])
    found = stats.summarise(other, against={"features.hop_ms": 20.0}).set_index(["features.hop_ms", "model"])
    assert found.loc[(10, "cnn9"), "difference"] == pytest.approx(2 / 8)
    assert found.loc[(20, "cnn9"), "pairs"] == 0
    default = stats.summarise(pd.concat([table, table.assign(dataset="timing")]))
    assert default["pairs"].tolist() == [0, 3, 0, 3], "no data set is compared with another"


@pytest.mark.parametrize(("pairs", "known"), [(5, 1.6820), (10, 0.9960), (20, 0.6604)])
def test_the_smallest_effect_is_that_of_the_tables(pairs, known):
    """G*Power, t test of dependent means, two-sided, alpha 0.05, power 0.8: the effect dz."""
    assert stats.minimum_detectable_effect(1.0, pairs) == pytest.approx(known, abs=2e-4)
    assert stats.minimum_detectable_effect(3.0, pairs) == pytest.approx(3 * known, abs=1e-3)


def test_the_smallest_effect_needs_two_pairs_and_rises_with_the_level():
    with pytest.raises(ValueError, match="pairs=1"):
        stats.minimum_detectable_effect(1.0, 1)
    assert stats.minimum_detectable_effect(1.0, 10, level=0.99) > 1.2 * stats.minimum_detectable_effect(1.0, 10)


@pytest.fixture
def folder(tmp_path, table):
    records = tmp_path / "run" / "records"
    records.mkdir(parents=True)
    failed = to_dict(RunSpec("synth10", 9, 9)) | {"key": "bad", "status": "failed", "error": "MemoryError: no message"}
    for record in [*table.to_dict("records"), failed]:
        (records / f"{record['key']}.json").write_text(json.dumps(record))
    return tmp_path / "run"


def test_rows_are_gathered_published_and_gathered_again(tmp_path, folder, table):
    gathered = study_rows.gather(folder)
    assert len(gathered) == 13 and len(study_rows.done(gathered)) == 12
    summary = stats.summarise(study_rows.done(gathered))
    written = study_rows.publish(gathered, summary, {"grid": "made up"}, tmp_path / "published")
    assert [p.name for p in written] == ["rows.parquet", "summary.csv", "provenance.json"]
    origin = json.loads(written[2].read_text())
    assert (origin["grid"], origin["rows"], origin["failed"], origin["commits"]) == ("made up", 13, 1, ["abc"])
    assert origin["content"] == {"synth10": ["c"]} and {"date", "commit", "python"} <= origin["provenance"].keys()
    other = gathered.assign(copies="naa", key=gathered["key"] + "n", content="with copies")
    study_rows.publish(pd.concat([gathered, other], ignore_index=True), summary, {}, tmp_path / "both")
    both = json.loads((tmp_path / "both" / "provenance.json").read_text())
    assert both["content"] == {"synth10": ["c", "with copies"]}
    again = study_rows.gather(tmp_path / "published")
    assert stats.summarise(study_rows.done(again)).to_csv() == summary.to_csv()
    assert (study_rows.compare(gathered, again)["state"] == "same").all()
    assert len(pd.read_csv(written[1])) == len(summary)


def test_a_difference_between_two_sets_of_rows_is_named(table):
    other = table[1:].copy()
    other.loc[2, "test_accuracy"] = 0.5
    other.at[3, "test_predicted"] = [1] * 5 + [0] * 3
    other = pd.concat([other, pd.DataFrame([row(40, 1, 0, 1)])])
    found = study_rows.compare(table, other).set_index("key")
    assert found["state"].value_counts().to_dict() == {"same": 9, "differs": 2, "only first": 1, "only second": 1}
    assert found.loc["10-2-0", "what"] == "test_accuracy 0.75 and 0.5"
    assert found.loc["10-2-1", "what"] == "test_predicted of 1 clips"
    assert found.loc["10-1-0", "state"] == "only first" and found.loc["40-1-0", "state"] == "only second"
    failed = table.assign(status="failed")
    assert set(study_rows.compare(table, failed)["what"]) == {"status done and failed"}


def test_folders_without_rows_are_told(tmp_path, folder):
    with pytest.raises(CourseError, match=r"no rows, neither rows\.parquet nor"):
        study_rows.gather(tmp_path)
    with pytest.raises(UsageError, match="nowhere: no folder of records, no run and no published rows of that name"):
        study_rows.find("nowhere")
    assert study_rows.find(str(folder)) == folder
    (folder / "records" / "x.json").write_text("{")
    with pytest.raises(CourseError, match=r"x.json: cannot be read as a record"):
        study_rows.gather(folder)


def test_of_several_labels_the_mean_average_precision_is_told():
    """One official split: pairs are starts. Several folds: their means are."""
    made = [row(10, 3, seed, 6, test_map=0.5, validation_map=0.6) for seed in (0, 1, 2)]
    made += [row(20, 3, seed, 6, test_map=0.4 + 0.1 * seed, validation_map=0.6) for seed in (0, 1, 2)]
    found = stats.summarise(pd.DataFrame(made))
    assert found["map"].tolist() == pytest.approx([0.5, 0.5]) and "accuracy" not in found
    assert found["paired_by"].tolist() == ["", "seed"] and found["pairs"].tolist() == [0, 3]
    assert found["high"][1] - found["map"][1] == pytest.approx(4.303 * 0.1 / math.sqrt(3), rel=1e-3)
    assert found["difference_high"][1] == pytest.approx(found["high"][1] - 0.5)
    folds = [row(10, fold, s, 6, test_map=0.1 * fold + 0.01 * s) for fold in (1, 2) for s in (0, 2)]
    over_folds = stats.repeats_interval(pd.DataFrame(folds), "test_map")
    assert over_folds.mean == pytest.approx(0.16)
    assert over_folds.high - 0.16 == pytest.approx(12.706 * 0.1 / 2, rel=1e-3), "two folds, 0.11 and 0.21"
    assert math.isnan(stats.repeats_interval(pd.DataFrame(made[:1]), "test_map").low)


def test_rows_without_validation_beside_rows_with_one():
    """Fields that came later are filled in; a missing validation is no difference from itself, and averages to none."""
    old, new = row(10, 1, 0, 6), row(10, 2, 0, 6, refit=True)
    del old["refit"], old["recipe.guide"], new["validation_accuracy"]
    table = study_rows.filled(pd.DataFrame([old, new]))
    assert table["refit"].tolist() == [False, True] and table["recipe.guide"].tolist() == [0.0, 0.0]
    found = stats.summarise(table)
    assert found["refit"].tolist() == [False, True]
    assert found["validation_accuracy"][0] == 0.5 and math.isnan(found["validation_accuracy"][1])
    assert "validation_accuracy" not in stats.summarise(table.drop(columns="validation_accuracy"))
    assert study_rows.compare(table, table)["state"].tolist() == ["same", "same"]
    bare = table.drop(columns=["validation_accuracy"])
    for pair in ((bare, table), (table, bare)):
        assert study_rows.compare(*pair)["what"].str.contains("validation_accuracy").any()


def test_costs_are_medians():
    made = pd.DataFrame([row(10, 1, seed, 6, latency_ms=ms) for seed, ms in enumerate((1.0, 2.0, 90.0))])
    assert stats.summarise(made)["latency_ms"].tolist() == [2.0]


# --- differences with a standard deviation from all conditions of a design


def design(conditions, folds=5, seeds=(0, 1), noise=0.02, **more):
    """Rows of so many conditions, each with a level, every fold with an effect of its own, and noise by fold."""
    rng = np.random.default_rng(3)
    effects = rng.normal(0, 0.1, folds)
    rows = []
    for k in range(conditions):
        for fold, by_fold in enumerate(noise * rng.normal(size=folds)):
            rows += [{"features.hop_ms": 10.0 + k, "fold": fold, "seed": seed, "n_train": 240, "n_test": 80,
                      "test_accuracy": 0.5 + 0.01 * k + effects[fold] + by_fold} for seed in seeds]  # fmt: skip
    return pd.DataFrame(rows).assign(**more)


def condition_of(rows, k):
    return rows[rows["features.hop_ms"] == 10.0 + k]


def test_residuals_are_pooled_over_conditions_and_folds():
    rows = design(6)
    found = stats.difference(condition_of(rows, 1), condition_of(rows, 0), design=rows)
    table = rows.pivot_table(index="features.hop_ms", columns="fold", values="test_accuracy").to_numpy()
    left = table - table.mean(1, keepdims=True) - table.mean(0) + table.mean()
    assert (found.df, found.pairs) == (20, 5) and found.std == pytest.approx(math.sqrt(2 * (left**2).sum() / 20))
    half = found.interval.high - found.interval.mean
    assert half == pytest.approx(scipy.stats.t.ppf(0.975, 20) * found.std / math.sqrt(5))
    wide = found.corrected.high - found.corrected.mean
    assert wide / half == pytest.approx(math.sqrt(1 + 5 / 3)), "Nadeau and Bengio: 1/5 + 80/240 instead of 1/5"
    assert found.p() == pytest.approx(2 * scipy.stats.t.sf(abs(found.interval.mean) / found.std * math.sqrt(5), 20))
    assert found.p(0.02) < found.p() and found.reversed().interval.low == -found.interval.high


def test_a_difference_of_exactly_the_margin_is_no_evidence_against_it():
    ninth = (np.arange(5) - 2) / 9
    found = stats.of_values((ninth + 0.3 - 0.02) - (ninth + 0.3))
    assert found.interval.mean == pytest.approx(-0.02) and found.p(0.02) == 1 and found.p() == 0


def test_two_conditions_pool_to_their_own_pairs():
    rows = design(2)
    pooled = stats.difference(condition_of(rows, 1), condition_of(rows, 0), design=rows)
    own = stats.difference(condition_of(rows, 1), condition_of(rows, 0))
    assert (pooled.std, pooled.df) == (pytest.approx(own.std), own.df) and own.interval.low == pytest.approx(
        pooled.interval.low
    )


def test_only_conditions_with_the_same_seeds_are_pooled():
    rows = design(4)
    few = pd.concat([rows, design(1, seeds=(0,)).assign(**{"features.hop_ms": 99.0, "test_accuracy": 0.0})])
    first, second = condition_of(few, 1), condition_of(few, 0)
    assert stats.difference(first, second, design=few).std == stats.difference(first, second, design=rows).std
    assert stats.difference(first, few[few["features.hop_ms"] == 99], design=few).df == 16, "over the seed of all"


def test_holm_raises_the_smallest_most_and_keeps_the_order():
    assert stats.holm([0.01, 0.04, 0.03]).tolist() == pytest.approx([0.03, 0.06, 0.06])
    assert stats.holm([0.5, 0.9]).tolist() == [1, 1]

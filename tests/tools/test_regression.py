"""Expected values: each kind accepts what it should and nothing else; bands come from seeds."""

import json

import numpy as np
import pytest
from helpers import HEAD, RECORD, write_notebooks
from rich.console import Console
from scipy import stats

from course_lib import paths, profiles
from course_lib.errors import CourseError
from course_lib.lesson import expected
from course_lib.lesson.display import OF_SEEDS
from course_lib.paths import repo_root
from course_lib.tools import authoring, regression, run_report, runner


def found(value, kind="band", **more):
    return {"name": "m", "value": value, "unit": "", "kind": kind, **more}


@pytest.mark.parametrize(
    ("wanted", "value", "ok"),
    [
        ({"kind": "exact", "value": 101}, 101, True),
        ({"kind": "exact", "value": 101}, 100, False),
        ({"kind": "exact", "value": "yes"}, "no", False),
        ({"kind": "rel", "value": -3.0, "rel": 0.01}, -3.02, True),
        ({"kind": "rel", "value": -3.0, "rel": 0.01}, -3.1, False),
        ({"kind": "rel", "value": 0.0, "rel": 0.01}, 1e-9, False),
        ({"kind": "band", "low": 0.4, "high": 0.6}, 0.6, True),
        ({"kind": "band", "low": 0.4, "high": 0.6}, 0.61, False),
    ],
)
def test_a_kind_accepts_what_it_should(wanted, value, ok):
    assert regression.judge_metric("m", found(value, wanted["kind"]), wanted).ok is ok


def test_missing_unknown_and_unjudged():
    assert regression.judge_metric("m", None, {"kind": "exact", "value": 1}).ok is False
    assert regression.judge_metric("m", found(1.0), None).ok is False
    assert regression.judge_metric("m", found(1.0, "info"), None).ok is None
    everything = regression.judge_all({"a": found(1.0), "t": found(9.0, "info")}, {"b": {"kind": "exact", "value": 1}})
    assert {v.name: v.ok for v in everything} == {"a": False, "t": None, "b": False}
    assert [v.ok for v in regression.judge_all({"a": found(1.0)}, None)] == [None]


def test_a_band_holds_one_more_seed_99_times_in_100():
    draws = np.random.default_rng(0).normal(0.8, 0.05, (4000, 6))
    inside = [low <= row[5] <= high for row in draws for low, high in [regression.band(row[:5])]]
    count = sum(inside)
    assert stats.binom.cdf(count, 4000, 0.99) > 1e-4 and stats.binom.sf(count - 1, 4000, 0.99) > 1e-4


def test_a_band_reaches_a_thousandth_or_one_step_even_where_no_seed_moves_the_value():
    assert regression.band([2.0] * 5) == pytest.approx((1.998, 2.002), abs=1e-12)
    assert regression.band([-2.0] * 5, 0.5) == pytest.approx((-2.5, -1.5), abs=1e-6)
    for hits in range(148):  # of 150 clips; a step away is within, whatever the rounding, and two are not
        low, high = regression.band([100 * (hits + 1) / 150] * 5, 100 / 150)
        assert low <= 100 * hits / 150 and 100 * (hits + 2) / 150 <= high
        assert 100 * (hits + 3) / 150 > high
    drawn = [50.0, 52.0, 47.0, 53.0, 49.0]
    assert regression.band(drawn, 1.0) == regression.band(drawn)  # seeds that scatter tell more


def test_a_band_needs_five_seeds():
    with pytest.raises(CourseError, match="at least 5 seeds, got 4"):
        regression.band([0.1, 0.2, 0.3, 0.4])


def test_measure_keeps_kinds_and_finds_what_moves():
    runs = [
        {"n": found(10, "exact"), "e": found(2.0, "rel", rel=1e-3), "a": found(0.5 + s / 100), "t": found(s, "info")}
        for s in range(5)
    ]
    measured = regression.measure(runs)
    assert set(measured) == {"n", "e", "a"}
    assert measured["n"]["value"] == 10 and measured["e"]["rel"] == 1e-3
    assert measured["a"]["values"] == [0.5, 0.51, 0.52, 0.53, 0.54]
    assert measured["a"]["low"] < 0.5 < 0.54 < measured["a"]["high"] and "step" not in measured["a"]
    runs[3]["n"] = found(11, "exact")
    with pytest.raises(CourseError, match="'n' is recorded as exact but changes with the seed"):
        regression.measure(runs)
    del runs[3]["n"]
    with pytest.raises(CourseError, match="'n' is recorded with some seeds but not with others"):
        regression.measure(runs)


def test_measure_adds_seeds_to_the_values_of_another_machine():
    earlier = {"a": {"kind": "effect", "values": [1.0, 2.0, 3.0]}, "gone": {"kind": "band", "values": [9.0]}}
    runs = [{"a": found(v, "effect"), "new": found(v)} for v in (4.0, 5.0, 6.0, 7.0, 8.0)]
    measured = regression.measure(runs, earlier)
    assert measured["a"]["values"] == [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0] and measured["a"]["mean"] == 4.5
    assert (measured["a"]["low"], measured["a"]["high"]) == regression.band(range(1, 9))
    assert measured["new"]["values"] == [4.0, 5.0, 6.0, 7.0, 8.0] and "gone" not in measured


def test_measure_carries_the_largest_step_into_the_band():
    runs = [{"a": found(50.0, step=step)} for step in (0.5, 0.5, 2.0, 0.5, 0.5)]
    measured = regression.measure(runs)["a"]
    assert measured["step"] == 2.0
    assert (measured["low"], measured["high"]) == pytest.approx((48, 52))
    assert regression.judge_metric("m", found(51.9, step=0.5), measured).ok is True


def test_an_effect_is_judged_as_a_band_and_knows_its_spread():
    runs = [
        {"gain": found(v, "effect"), "loss": found(-v, "effect"), "even": found(v - 3, "effect")} for v in range(1, 6)
    ]
    measured = regression.measure(runs)
    gain = measured["gain"]
    assert gain["mean"] == 3 and gain["sd"] == pytest.approx(2.5**0.5)
    assert (gain["low"], gain["high"]) == regression.band([1, 2, 3, 4, 5])
    assert regression.judge_metric("gain", found(3.0, "effect"), gain).ok is True
    assert regression.judge_metric("gain", found(30.0, "effect"), gain).ok is False
    assert [line.split(" is ")[0] for line in regression.unclear_effects(measured)] == ["gain", "loss", "even"]
    clear = {"gain": gain | {"mean": 4.75}, "frames": {"kind": "exact", "value": 3}}
    assert regression.unclear_effects(clear) == []


@pytest.mark.parametrize(
    ("value", "mean", "sd", "clear"),
    [(3.0, 5.0, 1.0, True), (2.9, 5.0, 1.0, False), (-3.0, 5.0, 1.0, False), (-3.0, -5.0, 1.0, True),
     (-1.25, -1.25, 0.0, False), (0.1, 0.1, 1e-17, False), (0.0, 0.0, 0.0, False)],
)  # fmt: skip
def test_an_effect_is_clear_at_three_deviations_on_the_side_on_file(value, mean, sd, clear):
    assert expected.is_clear(value, {"mean": mean, "sd": sd}) is clear
    assert not expected.is_clear(value, None)


def test_a_run_lists_its_effects_and_whether_they_are_clear(tmp_path, monkeypatch):
    metrics = {"gain": {"kind": "effect", "mean": 8.0, "sd": 2.0}, "loss": {"kind": "effect", "mean": -1.0, "sd": 2.0}}
    (tmp_path / "lesson.json").write_text(json.dumps({"toy": {"05_x": {"metrics": metrics}}}))
    monkeypatch.setattr(expected, "expected_path", lambda profile: tmp_path / f"{profile}.json")
    values = {"gain": 7.5, "loss": -2.0, "new": 1.0}
    recorded = {name: found(value, "effect") for name, value in values.items()} | {"frames": found(101, "exact")}
    result = runner.Result("05_x", runner.PASSED, 1.0, "", "", "", recorded=recorded)
    assert run_report.effects(result, "lesson", "toy") == [
        "05_x: gain is 7.5: clear, standard deviation 2 over seeds",
        "05_x: loss is -2: not clear, mean -1 ± 2 over seeds",
        "05_x: new is 1: no spread on file",
    ]


def test_store_adds_and_keeps(tmp_path, monkeypatch):
    monkeypatch.setattr(expected, "expected_path", lambda profile: tmp_path / f"{profile}.json")
    assert regression.expectations("smoke", "synth10", "01_x") is None
    regression.store("smoke", "synth10", "01_x", {"m": {"kind": "exact", "value": 1}}, {"seeds": 5})
    regression.store("smoke", "esc10", "01_x", {"m": {"kind": "exact", "value": 2}}, {"seeds": 5})
    assert regression.expectations("smoke", "synth10", "01_x") == {"m": {"kind": "exact", "value": 1}}
    assert list(json.loads((tmp_path / "smoke.json").read_text())) == ["esc10", "synth10"]


def test_committed_expectations_belong_to_notebooks_and_say_where_they_come_from():
    stems = {p.stem for p in authoring.sources()}
    files = sorted((repo_root() / "tests" / "expected").glob("*.json"))
    assert {f.stem for f in files} <= set(profiles.PROFILES) and "smoke" in {f.stem for f in files}
    assert set(json.loads(expected.expected_path("smoke").read_text())["synth10"]) == stems
    for file in files:
        for notebooks in json.loads(file.read_text()).values():
            assert set(notebooks) <= stems
            for entry in notebooks.values():
                assert {"commit", "date", "seeds", "minutes", "machine", "threads"} <= set(entry["provenance"])
                assert entry["provenance"]["seeds"] >= regression.MIN_SEEDS
                bands = [m for m in entry["metrics"].values() if m["kind"] in OF_SEEDS]
                assert all(len(m["values"]) >= regression.MIN_SEEDS for m in bands)


def test_the_name_of_an_effect_is_unique_in_the_course():
    """`conclude` finds an effect on file by its name alone."""
    for profile in profiles.PROFILES:
        for notebooks in expected.stored(profile).values():
            metrics = [m for entry in notebooks.values() for m in entry["metrics"].items()]
            effects = [name for name, metric in metrics if metric["kind"] == "effect"]
            assert len(effects) == len(set(effects))


def test_seeds_of_one_notebook_run_beside_each_other_and_are_kept_apart(tmp_path, monkeypatch):
    kept, origins = {}, {}

    def ran(jobs, **_):
        seeds = [job.parameters["seed"] for job in jobs]
        assert sorted(set(seeds)) == list(range(6)), "seeds run one after the other"
        recorded = [{"a": found(100 * len(job.name) + seed)} for job, seed in zip(jobs, seeds, strict=True)]
        return [
            runner.Result(job.name, runner.PASSED, 1.0 + seed, "", str(job.output), "", recorded=numbers)
            for job, seed, numbers in zip(jobs, seeds, recorded, strict=True)
        ]

    def store(profile, dataset, name, metrics, provenance):
        kept[name] = metrics["a"]["values"], provenance["minutes"], provenance["notebooks_at_a_time"]
        origins[name] = provenance
        return expected.expected_path(profile)

    monkeypatch.setattr(runner, "run", ran)
    monkeypatch.setattr(regression, "store", store)
    monkeypatch.setattr(runner, "prepare_data", lambda *asked: ("", 1))
    monkeypatch.setattr(paths, "runs_dir", lambda: tmp_path)
    monkeypatch.setattr(authoring, "notebooks_dir", lambda: tmp_path)
    write_notebooks(tmp_path, {"01_a": HEAD + RECORD, "02_longer": HEAD + RECORD})
    runner.measure_expectations("smoke", "synth10", only="", seeds=6, jobs=2, console=Console())
    runner.measure_expectations("smoke", "synth10", only="2", seeds=6, jobs=2, console=Console())
    assert kept == {
        "01_a": ([400.0 + s for s in range(6)], 3.5, 2),
        "02_longer": ([900.0 + s for s in range(6)], 3.5, 2),
    }
    with pytest.raises(CourseError, match="--add: 01_a, 02_longer: no values of smoke on synth10 on file"):
        runner.measure_expectations("smoke", "synth10", only="", seeds=6, jobs=2, console=Console(), add=True)
    earlier = {"provenance": {"minutes": 0.5, "processor": "A"}, "metrics": {"a": {"values": [400.0]}}}
    monkeypatch.setattr(expected, "stored", lambda profile: {"synth10": {"01_a": earlier}})
    runner.measure_expectations("smoke", "synth10", only="1", seeds=6, jobs=2, console=Console(), add=True)
    assert kept["01_a"] == ([400.0, *(400.0 + s for s in range(6))], 0.5, 2)
    assert origins["01_a"]["added_to"] == earlier["provenance"]

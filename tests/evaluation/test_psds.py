"""PSDS: against a literal count by its definition, against a curve drawn by hand, and what must not change it."""

import json
import subprocess
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from course_lib.data import events
from course_lib.evaluation import psds
from course_lib.paths import repo_root

CLASSES = ("cat", "dog", "rain")
SEVERE = psds.Tolerance(0.3, 0.9, cttc=0.1, alpha_ct=2.0, max_efpr=2000.0)


def listed(*rows):
    return pd.DataFrame(rows, columns=events.COLUMNS)


def made(seed, n_files=6, n_frames=24, frame_s=0.4, clip_s=9.3, rounded=False):
    """Random events, and scores that know something of them; with `rounded` many scores are equal."""
    rng = np.random.default_rng(seed)
    files = [f"f{k}" for k in range(n_files)]
    rows = [("f0", 0.5 * k, 0.5 * k + 2, name) for k, name in enumerate(CLASSES)]
    for filename in files[1:]:
        for name in CLASSES:
            for onset in clip_s * 0.9 * rng.random(rng.integers(0, 3)):
                rows.append((filename, round(onset, 3), round(min(onset + 0.1 + 3 * rng.random(), clip_s), 3), name))
    reference = events.merge_touching(listed(*rows))
    n_whole = max(n_frames, int(np.ceil(clip_s / frame_s)))  # frames may end before the clip does
    active = events.to_frames(reference, files, CLASSES, n_whole, frame_s)[:, :n_frames]
    scores = 0.6 * active + rng.random(active.shape)
    return reference, np.round(scores, 1) if rounded else scores, files, CLASSES, frame_s, clip_s


def overlap(first, second):
    return max(0.0, min(first[1], second[1]) - max(first[0], second[0]))


def counted(reference, scores, files, classes, frame_s, clip_s, tolerance, name, threshold):
    """Share of events of a class that is found at a threshold, and false detections an hour, one by one."""
    hits, false, n_events = 0, 0.0, 0
    at_least = events.from_frames(scores >= threshold, files, classes, frame_s, clip_s)
    lasting = {c: sum(r.offset - r.onset for r in reference.itertuples() if r.event_label == c) for c in classes}
    for file in files:
        of_file = [r for r in reference.itertuples() if r.filename == file]
        true = {c: [(r.onset, r.offset) for r in of_file if r.event_label == c] for c in classes}
        found = [(r.onset, r.offset) for r in at_least.itertuples() if r.filename == file and r.event_label == name]
        relevant = []
        for one in found:
            length = one[1] - one[0]
            if sum(overlap(one, event) for event in true[name]) >= tolerance.dtc * length - 1e-6:
                relevant.append(one)
                continue
            false += 3600 / (clip_s * len(files))
            crossed = [c for c in classes if c != name and true[c]]
            crossed = [c for c in crossed if sum(overlap(one, e) for e in true[c]) >= tolerance.cttc * length - 1e-6]
            false += sum(3600 * tolerance.alpha_ct / lasting[c] for c in crossed) / (len(classes) - 1)
        n_events += len(true[name])
        for event in true[name]:
            covered = sum(overlap(one, event) for one in relevant)
            hits += covered >= tolerance.gtc * (event[1] - event[0]) - 1e-6
    return hits / n_events, false


def by_definition(*case, tolerance):
    """The area below the curve, from every threshold of every class on its own."""
    _, scores, _, classes, _, _ = case
    points = [
        [counted(*case, tolerance, name, t) for t in np.unique(scores[:, :, k])] for k, name in enumerate(classes)
    ]
    grid = sorted({false for of_class in points for _, false in of_class} | {0.0})
    grid = [x for x in grid if x < tolerance.max_efpr] + [tolerance.max_efpr]
    area = 0.0
    for left, right in pairwise(grid):
        best = [max([hit for hit, false in of_class if false <= left + 1e-9], default=0.0) for of_class in points]
        area += (right - left) * max(0.0, np.mean(best) - tolerance.alpha_st * np.std(best))
    return area / tolerance.max_efpr


@pytest.mark.parametrize("tolerance", [psds.PSDS1, psds.PSDS2, SEVERE], ids=["strict", "lax", "severe"])
@pytest.mark.parametrize("seed", range(3))
def test_it_is_what_the_definition_says(seed, tolerance):
    tolerance = replace(tolerance, alpha_st=0.5, max_efpr=max(2000.0, tolerance.max_efpr))
    case = made(seed, n_files=3, rounded=seed > 0)
    found = psds.psds(*case, tolerance)
    assert found.score > 0 and found.score == pytest.approx(by_definition(*case, tolerance=tolerance), abs=1e-9)


JUDGE = repo_root() / ".tools" / "judge" / "bin" / "python"


@pytest.mark.skipif(not JUDGE.exists(), reason="no sed_scores_eval: make .tools/judge builds it, with a C compiler")
def test_it_is_what_sed_scores_eval_computes():
    """Frames that end early or begin before the file, ties, cross triggers, events that touch, files without events."""
    cases, expected = [], []
    for seed in range(120):
        rng = np.random.default_rng(seed)
        shape = {"n_files": int(rng.integers(2, 7)), "n_frames": int(rng.integers(4, 30))}
        shape |= {"frame_s": float(rng.choice([0.16, 0.4, 0.48])), "rounded": seed % 3 == 0}
        reference, scores, files, classes, frame_s, clip_s = made(seed, **shape)
        first_s = float(rng.choice([0.0, -0.5 * frame_s, -0.11, 0.3]))
        edges = np.clip(first_s + frame_s * np.arange(scores.shape[1] + 1), 0, clip_s)
        keep = np.r_[True, np.diff(edges) > 1e-6]
        truth = {name: [] for name in files}
        for row in reference.itertuples(index=False):
            truth[row.filename].append((row.onset, row.offset, row.event_label))
        for asked in (psds.PSDS1, psds.PSDS2, SEVERE):
            how = {
                "dtc_threshold": asked.dtc,
                "gtc_threshold": asked.gtc,
                "cttc_threshold": asked.cttc if asked.alpha_ct else None,
                "alpha_ct": asked.alpha_ct,
                "alpha_st": asked.alpha_st,
                "max_efpr": asked.max_efpr,
            }
            of_files = {name: scores[f, keep[1:]].tolist() for f, name in enumerate(files)}
            frames = edges[np.r_[keep[1:], False] | np.r_[False, keep[1:]]]
            cases.append(
                {
                    "edges": frames.tolist(),
                    "classes": classes,
                    "scores": of_files,
                    "truth": truth,
                    "clip_s": clip_s,
                    "tolerance": how,
                }
            )
            expected.append(psds.psds(reference, scores, files, classes, frame_s, clip_s, asked, first_s=first_s))
    command = [str(JUDGE), str(repo_root() / "tests" / "evaluation" / "judge.py")]
    answer = subprocess.run(command, input=json.dumps(cases), capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr
    for ours, theirs in zip(expected, json.loads(answer.stdout), strict=True):
        assert ours.score == pytest.approx(theirs["score"], abs=1e-9)
        assert ours.by_class.to_dict() == pytest.approx(theirs["by_class"], abs=1e-9)


def test_an_event_that_no_frame_reaches_is_not_found_for_nothing():
    """20 frames of 0.48 s end at 9.6 s; an event from 9.7 to 10 s is in none of them."""
    reference = listed(("f", 1.44, 2.88, "cat"), ("f", 9.7, 10.0, "cat"))
    scores = np.zeros((1, 20, 1))
    scores[0, 3:6] = 1
    assert psds.psds(reference, scores, ["f"], ["cat"], 0.48, 10.0).score == pytest.approx(0.5)
    half = listed(("f", 1.44, 2.88, "cat"), ("f", 9.0, 10.0, "cat"))
    scores[0, 19] = 1  # 9.12 to 9.6 s: all of the detection lies in the event, but only 48 % of the event in it
    for share, expected in ((0.4, 1.0), (0.5, 0.5)):
        asked = psds.Tolerance(0.5, share)
        assert psds.psds(half, scores, ["f"], ["cat"], 0.48, 10.0, asked).score == pytest.approx(expected)


def test_a_curve_drawn_by_hand():
    """36 s hold one false detection per 100 an hour: half is found with none, all with one."""
    scores = np.zeros((1, 36, 1))
    scores[0, 2:5], scores[0, 20:24], scores[0, 10:12] = 0.9, 0.3, 0.5
    asked = psds.Tolerance(0.5, 0.5, max_efpr=200.0)
    found = psds.psds(listed(("f", 2, 5, "cat"), ("f", 20, 24, "cat")), scores, ["f"], ["cat"], 1.0, 36.0, asked)
    assert found.score == pytest.approx((0.5 * 100 + 1.0 * 100) / 200)
    assert found.curve["efpr"].tolist() == pytest.approx([0, 100, 200])
    assert found.curve["found"].tolist() == pytest.approx([0.5, 1, 1])
    both = np.concatenate([scores, np.zeros_like(scores)], axis=2)
    both[0, 7:9, 1] = 0.9
    reference = listed(("f", 2, 5, "cat"), ("f", 20, 24, "cat"), ("f", 7, 9, "dog"))
    by_class = psds.psds(reference, both, ["f"], ["cat", "dog"], 1.0, 36.0, asked).by_class
    assert by_class.to_dict() == pytest.approx({"cat": 0.75, "dog": 1.0}), "each class has the area of its own curve"


def test_time_is_what_strict_asks_and_lax_does_not():
    """A perfect tagger marks the whole of 10 s: relevant is what lasts seven of them, or one."""
    reference = listed(("a", 0, 8, "rain"), ("b", 0, 2, "rain"), ("c", 0, 0.5, "rain"))
    everywhere = np.ones((3, 10, 1))
    shares = [
        psds.psds(reference, everywhere, ["a", "b", "c"], ["rain"], 1.0, 10.0, how).score
        for how in (psds.PSDS1, psds.PSDS2)
    ]
    assert shares == pytest.approx([0, 0]), "two false ones in 30 s, or one, are more than 100 an hour"
    generous = [replace(how, max_efpr=1000.0, alpha_ct=0.0) for how in (psds.PSDS1, psds.PSDS2)]
    shares = [psds.psds(reference, everywhere, ["a", "b", "c"], ["rain"], 1.0, 10.0, how).score for how in generous]
    assert shares == pytest.approx([1 / 3 * 0.76, 2 / 3 * 0.88]), "from 240 and from 120 false ones an hour on"


def test_perfect_scores_are_worth_one_and_silence_nothing():
    reference, _, files, classes, _, clip_s = made(0)
    perfect = events.to_frames(reference, files, classes, 9300, 0.001).astype(np.float32)
    perfect = perfect[:, ::10]  # to 10 ms
    assert psds.psds(reference, perfect, files, classes, 0.01, clip_s).score == pytest.approx(1)
    assert psds.psds(reference, np.zeros_like(perfect), files, classes, 0.01, clip_s).score == 0


def test_what_must_not_change_it(monkeypatch):
    reference, scores, files, classes, frame_s, clip_s = case = made(3)
    usual = psds.psds(*case, SEVERE)
    assert 0 < usual.score < 1
    again = [
        psds.psds(reference, scores**3, files, classes, frame_s, clip_s, SEVERE),
        psds.psds(reference, scores[::-1], files[::-1], classes, frame_s, clip_s, SEVERE),
        psds.psds(reference, scores[..., ::-1], files, classes[::-1], frame_s, clip_s, SEVERE),
        psds.psds(reference, np.pad(scores, ((0, 0), (0, 5), (0, 0)), constant_values=9), *case[2:], SEVERE),
        psds.psds(reference, np.pad(scores, ((0, 0), (2, 0), (0, 0)), constant_values=9), *case[2:], SEVERE,
                  first_s=-2 * frame_s),
    ]  # fmt: skip
    monkeypatch.setattr(psds, "LARGEST", 1)
    again.append(psds.psds(*case, SEVERE))
    assert [one.score for one in again] == pytest.approx([usual.score] * len(again), abs=1e-12)


def test_what_cannot_be_judged_is_refused():
    reference, scores, files, classes, frame_s, clip_s = made(0)
    with pytest.raises(ValueError, match=r"expected numbers \(files, frames, classes\) for 6 files and 3 classes"):
        psds.psds(reference, scores[1:], files, classes, frame_s, clip_s)
    with pytest.raises(ValueError, match="expected numbers"):
        psds.psds(reference, np.full_like(scores, np.nan), files, classes, frame_s, clip_s)
    with pytest.raises(ValueError, match="dog: no such event in the reference"):
        psds.psds(reference[reference["event_label"] != "dog"], scores, files, classes, frame_s, clip_s)
    with pytest.raises(ValueError, match="both must be above 0"):
        psds.psds(reference, scores, files, classes, 0.0, clip_s)
    with pytest.raises(ValueError, match=r"no frame lies within the 9\.3 s of a file"):
        psds.psds(reference, scores, files, classes, frame_s, clip_s, first_s=clip_s)
    for end in (clip_s + 1, reference["onset"].iloc[0]):  # after its file, and without a length
        wrong = reference.assign(offset=reference["offset"].where(reference.index > 0, end))
        with pytest.raises(ValueError, match=r"event from .+ to .+ s: expected a length, within 9\.3 s"):
            psds.psds(wrong, scores, files, classes, frame_s, clip_s)
    with pytest.raises(ValueError, match="'rain' is not one of the 2"):
        psds.psds(reference, scores[..., :2], files, classes[:2], frame_s, clip_s)
    for wrong in ({"dtc": 0.0}, {"gtc": 1.5}, {"alpha_ct": -1.0}, {"max_efpr": 0.0}):
        with pytest.raises(ValueError):
            replace(psds.PSDS1, **wrong)

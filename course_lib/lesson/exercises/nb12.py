"""Tests of the exercises in notebook 12."""

import numpy as np

from course_lib.audio import windows
from course_lib.lesson.checks import NotAttempted, NotYet, call, expect_function


def window_starts(answer: object) -> str:
    """12.1: windows that cover a recording."""
    for case in ((100, 10, 5), (103, 10, 5), (100, 10, 10), (109, 10, 10), (10, 10, 3), (7, 10, 5), (11, 10, 10)):
        n_samples, window, hop = case
        got = call(answer, *case)
        try:
            got = [int(start) for start in got]
        except (TypeError, ValueError):
            raise NotYet(f"expected a list of whole numbers, the starts; got {got!r}") from None
        wanted = windows.window_starts(*case).tolist()
        if got == wanted:
            continue
        given = f"for {n_samples} samples, windows of {window} and a hop of {hop}"
        if not got:
            raise NotYet(f"{given} there is no window; a recording shorter than a window gets one that starts at 0")
        if min(got) < 0:
            raise NotYet(f"{given} a window starts at {min(got)}, before the recording")
        if max(got) + window > max(n_samples, window):
            raise NotYet(f"{given} the last window ends at {max(got) + window}, beyond the end; end it there instead")
        if len(set(got)) < len(got):
            raise NotYet(f"{given} a window comes twice; add the last one only if some samples are not covered yet")
        if max(got) + window < n_samples:
            uncovered = n_samples - max(got) - window
            raise NotYet(f"{given} the last {uncovered} samples are in no window; add one that ends at the end")
        raise NotYet(f"{given} the starts are {_short(got)}, expected {_short(wanted)}")
    return "The last window overlaps more than the others, and no sample is lost."


def _short(values: list) -> str:
    shown = ", ".join(map(str, values[:4]))
    return f"[{shown}, ..., {values[-1]}]" if len(values) > 5 else str(values)


def merged(reports: list, gap_s: float) -> list:
    """The answer to 12.2."""
    found: list[list] = []
    latest: dict[str, list] = {}
    for onset, offset, label in sorted(reports):
        last = latest.get(label)
        if last is not None and onset <= last[1] + gap_s:
            last[1] = max(last[1], offset)
        else:
            latest[label] = [onset, offset, label]
            found.append(latest[label])
    return [tuple(event) for event in sorted(found, key=lambda event: (event[0], event[2]))]


# Reports, gap, and what is wrong if this is the first case that fails
MERGE_CASES = [
    ([(1.0, 1.5, "dog"), (3.0, 3.5, "dog")], 0.25, "two events far apart must both stay, as they are"),
    ([(1.0, 1.5, "dog"), (1.25, 2.0, "dog")], 0.25, "two reports that overlap are one event, with the later offset"),
    ([(1.0, 1.5, "dog"), (1.625, 2.0, "dog")], 0.25, "the pause is shorter than `gap_s`: one event"),
    ([(1.0, 1.5, "dog"), (1.75, 2.0, "dog")], 0.25, "a pause of exactly `gap_s` counts as one event"),
    ([(1.0, 1.5, "dog"), (1.25, 2.0, "rain")], 0.25, "reports of different labels must not be merged"),
    ([(1.0, 4.0, "dog"), (1.5, 2.0, "dog")], 0.25, "a report inside another must not shorten it"),
    ([(1.0, 4.0, "dog"), (1.5, 2.0, "dog"), (3.0, 3.5, "dog")], 0.25,
     "the third report lies in the first, though not in the second: compare with the latest offset so far"),
    ([(1.25, 2.0, "dog"), (1.0, 1.5, "dog")], 0.25, "the reports come in any order: sort them first"),
    ([(1.0, 1.5, "dog"), (1.5, 2.0, "dog"), (2.0, 2.5, "dog")], 0.25, "three reports in a row are one event"),
    ([(1.0, 1.5, "dog"), (1.125, 5.0, "rain"), (1.625, 2.0, "dog")], 0.25,
     "a report of another label lies between the two: remember the open event of each label"),
    ([(2.0, 2.5, "rain"), (1.0, 9.0, "rain"), (1.0, 1.5, "dog")], 0.0, "sort the result by onset, then by label"),
    ([], 0.25, "no reports give an empty list"),
]  # fmt: skip


def merge_reports(answer: object) -> str:
    """12.2: duplicates at seams merged."""
    for reports, gap_s, reason in MERGE_CASES:
        got = call(answer, list(reports), gap_s)
        try:
            got = [(float(onset), float(offset), str(label)) for onset, offset, label in got]
        except (TypeError, ValueError):
            raise NotYet(f"expected a list of (onset_s, offset_s, label), got {got!r}") from None
        wanted = merged(reports, gap_s)
        if got != wanted:
            raise NotYet(f"for {reports} and a gap of {gap_s:g} s it gives {got}, expected {wanted}: {reason}")
    return "The same as `events.merge_touching`, label by label."


def true_time_s(answer: object) -> str:
    """12.3: a time stamp without the drift of a rounded hop."""

    def samples(nominal_ms: float, rate_hz: float) -> int:
        return int(np.floor(nominal_ms / 1000 * rate_hz + 0.5))

    def reference(stamp_s: float, nominal_ms: float, rate_hz: float) -> float:
        return stamp_s / (nominal_ms / 1000) * samples(nominal_ms, rate_hz) / rate_hz

    slips = {
        "that is the stamp itself: the hop in whole samples is a little longer or shorter than the nominal one":
            lambda s, h, r: s,
        "the ratio is upside down: the true hop belongs in the numerator":
            lambda s, h, r: s * (h / 1000) * r / samples(h, r),
        "that is the number of the frame; turn it into seconds": lambda s, h, r: s / (h / 1000),
        "that is in samples; divide by the sampling rate": lambda s, h, r: s / (h / 1000) * samples(h, r),
        "that is the drift; subtract it from the stamp": lambda s, h, r: s - reference(s, h, r),
        "the hop was rounded down; round halves up": lambda s, h, r: s / (h / 1000) * int(h / 1000 * r) / r,
        "that is in ms; return seconds": lambda s, h, r: 1000 * reference(s, h, r),
    }  # fmt: skip
    cases = [(3600.0, 10.0, 22_050), (600.0, 23.2, 44_100), (12.5, 10.0, 16_000), (3600.0, 2.5, 11_025)]
    expect_function(answer, reference, cases, unit="s", rel=1e-9, slips=slips)
    return "At 22,050 Hz, an event stamped at one hour happened 8 s later; at 16,000 Hz, the clock was right."


def alarm_delay_s(answer: object) -> str:
    """12.4: from the onset to the result of the first window that has heard enough."""

    def after(heard_s: float, window_s: float, hop_s: float) -> float:
        return window_s + max(0.0, np.ceil((heard_s - window_s) / hop_s - 1e-9)) * hop_s

    def reference(onset_s: float, needed_s: float, window_s: float, hop_s: float, compute_s: float) -> float:
        return after(onset_s + needed_s, window_s, hop_s) + compute_s - onset_s

    slips = {
        "that is the time of the result; the delay counts from the onset":
            lambda o, n, w, h, c: reference(o, n, w, h, c) + o,
        "the computing time is missing": lambda o, n, w, h, c: reference(o, n, w, h, c) - c,
        "a window can answer only when it has ended, and windows end on a grid: the wait for the next end is missing":
            lambda o, n, w, h, c: n + c,
        "that is the first window that ends after the onset; it may not have heard enough yet":
            lambda o, n, w, h, c: after(o, w, h) + c - o,
        "that window ends before it has heard enough: round up, not down":
            lambda o, n, w, h, c: w + max(0, np.floor((o + n - w) / h)) * h + c - o,
        "that waits until the event fills a whole window; `needed_s` of it is enough":
            lambda o, n, w, h, c: after(o + w, w, h) + c - o,
        "no window ends before the first one does: k cannot be negative":
            lambda o, n, w, h, c: w + np.ceil((o + n - w) / h - 1e-9) * h + c - o,
        "count to the end of the window, not to its middle": lambda o, n, w, h, c: reference(o, n, w, h, c) - w / 2,
        "count to the end of the window, not to its start": lambda o, n, w, h, c: reference(o, n, w, h, c) - w,
    }  # fmt: skip
    cases = [(7.3, 0.4, 1.0, 0.25, 0.05), (7.3, 0.4, 1.0, 1.0, 0.05), (0.2, 0.1, 1.0, 0.5, 0.02),
             (5.0, 0.5, 0.5, 0.1, 0.0), (12.05, 0.3, 2.0, 0.5, 0.1)]  # fmt: skip
    expect_function(answer, reference, cases, unit="s", rel=1e-6, slips=slips)
    return "With a hop of 1 s instead of 0.25 s, the same event is answered 0.25 s later."


WITHIN, FALSE, COST, LONG = 0.45, 15.0, 5.0, 200  # limits of 12.5; steps from which on a network should have learned


def alarm(answer: object) -> str:
    """12.5 (open): what an alarm with the learner's settings did on the test recording."""
    if answer is None or answer is Ellipsis:
        raise NotAttempted
    if not isinstance(answer, dict) or not answer.keys() >= {"settings", "within_500_ms", "false_per_minute", "cost"}:
        raise NotYet(
            "`my_alarm` returns a window of 0.5, 1 or 2 s, an overlap from 0 to below 1 and a threshold between 0 and "
            f"1; yours gave {answer!r}"
        )
    window_s, overlap, limit = answer["settings"]
    tried = f"windows of {window_s:g} s, an overlap of {100 * overlap:g} % and a threshold of {limit:g}"
    if answer["cost"] > COST + 1e-9:
        times = f"{answer['cost']:.1f} times as much as without overlap, at most {COST:g} times is allowed"
        raise NotYet(f"with {tried}, it computes {times}")
    if answer["steps"] < LONG:
        return f"The cost of {tried} is within the limit; in this short run, delay and false alarms are not judged."
    if answer["within_500_ms"] < WITHIN:
        raise NotYet(
            f"with {tried}, {100 * answer['within_500_ms']:.0f} % of the events are answered within 500 ms, and "
            f"{100 * WITHIN:.0f} % are asked for; would a shorter window, a shorter hop or a lower threshold help?"
        )
    if answer["false_per_minute"] > FALSE:
        raise NotYet(
            f"with {tried}, there are {answer['false_per_minute']:.1f} false alarms per minute, at most {FALSE:g} are "
            "allowed; would a higher threshold or fewer windows help?"
        )
    return (
        f"With {tried}, {100 * answer['within_500_ms']:.0f} % of the events are answered within 500 ms, with "
        f"{answer['false_per_minute']:.1f} false alarms per minute, for {answer['cost']:.1f} times the computation."
    )


EXERCISES = {
    "12.1": window_starts,
    "12.2": merge_reports,
    "12.3": true_time_s,
    "12.4": alarm_delay_s,
    "12.5": alarm,
}

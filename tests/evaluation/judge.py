"""PSDS as sed_scores_eval computes it: run by an environment of its own, for it wants an older pandas than the course.

Reads a list of cases as JSON from standard input and writes, for each, the score and the areas of its classes.
`make .tools/judge` makes the environment.
"""

import json
import sys

import numpy as np
import pandas as pd
from sed_scores_eval.intersection_based import psds


def judged(case):
    edges = case["edges"]
    times = {"onset": edges[:-1], "offset": edges[1:]}
    tables = {
        name: pd.DataFrame(times | dict(zip(case["classes"], np.transpose(scores), strict=True)))
        for name, scores in case["scores"].items()
    }
    truth = {name: [tuple(event) for event in events] for name, events in case["truth"].items()}
    lengths = dict.fromkeys(tables, case["clip_s"])
    score, by_class, *_ = psds(tables, truth, lengths, **case["tolerance"])
    return {"score": score, "by_class": by_class}


json.dump([judged(case) for case in json.load(sys.stdin)], sys.stdout)

"""The shipped impulse response of the network trained on AudioSet: it can be read, and the weights give it again."""

import os

import numpy as np
import pytest

from course_lib.errors import CourseError
from course_lib.models import mobilenet, pretrained
from course_lib.study import impulse

weights = pytest.mark.skipif(
    not os.environ.get("COURSE_MIRROR") or not pretrained.available(), reason="mn04_as is not in COURSE_MIRROR"
)


def test_the_shipped_response_says_where_it_comes_from_and_is_small():
    found = impulse.load()
    assert found.origin["sha256"] == pretrained.AUDITORY[impulse.NAME].sha256
    assert {"how", "weights", "processor", "torch", "date", "commit"} <= found.origin.keys()
    assert impulse.path().stat().st_size < 30_000


def test_the_shipped_response_is_narrow_early_and_wide_late():
    found = impulse.load()
    widths = [impulse.width_ms(found, hop) for hop in impulse.HOPS_MS]
    assert widths == sorted(widths) and widths[0] < 200 < widths[1] and widths[-1] > 1000
    assert all(change.max() == 1 and change.min() >= 0 for change in found.change.values())
    assert found.far[40] == 0 < found.far[80] < found.far[160] < found.far[320]  # there is no gate before 40 ms


def test_a_frame_at_40_ms_sees_no_further_than_its_receptive_field():
    """205 ms, without gates: beyond half of that and of the burst nothing changes, with any weights."""
    import torch

    torch.manual_seed(0)
    found = impulse.measure(mobilenet.AudioMobileNet(0.1, 3).eval(), backgrounds=1)
    beyond = np.abs(found.lags_ms) > 205 / 2 + impulse.BURST_MS / 2 + 10
    assert found.change[40][beyond].max() < 1e-6 and found.far[40] < 1e-6
    assert impulse.width_ms(found, 40) < impulse.width_ms(found, 80)


@weights
def test_the_weights_give_the_shipped_response():
    shipped, again = impulse.load(), impulse.measure(pretrained.network(impulse.NAME))
    for hop in impulse.HOPS_MS:
        assert np.abs(shipped.change[hop] - again.change[hop]).max() < 0.01
        assert abs(shipped.far[hop] - again.far[hop]) < 0.01
        assert abs(impulse.width_ms(shipped, hop) - impulse.width_ms(again, hop)) <= 2 * impulse.STEP_MS


def test_a_damaged_file_is_told_in_one_line(tmp_path, monkeypatch):
    bad = tmp_path / "bad.json"
    monkeypatch.setattr(impulse, "path", lambda: bad)
    for content in ("{", '{"origin": {}, "far": {}, "change": {"40": [1, 2]}}', '{"far": {}}'):
        bad.write_text(content)
        with pytest.raises(CourseError, match=r"bad.json.*course_lib.study.impulse"):
            impulse.load()

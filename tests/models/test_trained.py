"""The networks that the course ships: they load, are right as often as they say, and refuse what does not fit."""

import json
import shutil

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from course_lib.analysis import probe
from course_lib.audio.features import NATS
from course_lib.data import folds
from course_lib.data.clips import features
from course_lib.data.load import load_timing
from course_lib.errors import CourseError, UsageError
from course_lib.models import trained
from course_lib.models.classifier import Normalised, classifier
from course_lib.study import networks
from course_lib.training import supervised

PROBE = ("probe-contrast", "probe-light-fails", "probe-light-succeeds")
LARGEST_BYTES = 2_500_000  # all together


@pytest.fixture(scope="module")
def test_clips():
    """Clips of the timing probe that no shipped network has learned from, with log-mels and classes."""
    clips = load_timing(100)
    x = features(clips, trained.load(PROBE[0]).spec, progress=False)
    _, _, test = folds.split(clips, 1)
    return clips.where(test), x[test], clips.targets[test]


def test_all_are_here_and_small():
    assert trained.names() == sorted([*PROBE, "esc10-diffres", "esc10-fixed"])
    assert sum(path.stat().st_size for path in trained.folder().iterdir()) < LARGEST_BYTES


@pytest.mark.parametrize("name", PROBE)
def test_accuracy_is_the_one_in_the_file_and_in_the_readme(name, test_clips):
    run = trained.load(name)
    _, x, targets = test_clips
    accuracy = np.mean(supervised.predict(run.model, x).argmax(1) == targets)
    one_clip = 1 / len(targets)  # processors round differently
    assert abs(accuracy - run.found["test_accuracy"]) <= one_clip + 1e-9
    assert (accuracy >= networks.SUCCESS == probe.SUCCESS) == (name != "probe-light-fails")
    (line,) = [
        s for s in (trained.folder() / "README.md").read_text(encoding="utf-8").splitlines() if f"| `{name}`" in s
    ]
    assert f"| {100 * run.found['test_accuracy']:.1f} % |" in line


def test_widths_of_the_variant_follow_the_known_patterns(test_clips):
    clips, x, _ = test_clips
    run = trained.load("probe-contrast")
    widths = run.widths(x)
    inside = networks.pattern_frames(clips, run.spec, x.shape[1])
    assert np.allclose(widths.sum(1), 40, atol=1e-3)
    assert np.mean([np.corrcoef(w, p)[0, 1] for w, p in zip(widths, inside, strict=True)]) >= 0.6


def test_everything_that_a_reader_needs_is_in_the_file():
    for name in trained.names():
        run = trained.load(name)
        assert not run.model.training and not any(p.requires_grad for p in run.model.parameters())
        assert [entry["step"] for entry in run.history][-1] == run.run["recipe.steps"]
        assert {"commit", "processor", "torch", "date"} <= run.origin.keys()
        logits = run.model(torch.zeros(2, 600, run.spec.n_mels) - 60)
        assert logits.shape == (2, len(run.classes))


def test_the_networks_of_real_sounds_are_a_layer_and_its_rival():
    found = {name: trained.load(name) for name in ("esc10-diffres", "esc10-fixed")}
    assert found["esc10-diffres"].run["frame_reducer"].endswith(":0.75")
    assert found["esc10-fixed"].run["frame_reducer"] == "none"


# --- Files that do not fit


def small(n_mels=16):
    torch.manual_seed(0)
    net = classifier("cnn7", 2, reducer="diffres-contrast:0.5", n_mels=n_mels)
    return Normalised(net, np.random.default_rng(0).normal(-60, 10, (4, 40, n_mels)).astype(np.float32)).eval()


ABOUT = {
    "run": {"model": "cnn7", "frame_reducer": "diffres-contrast:0.5", "features.n_mels": 16, "features.hop_ms": 10.0},
    "classes": ["a", "b"], "found": {}, "history": [], "origin": {},
}  # fmt: skip


def written(folder, model, about=ABOUT):
    path = folder / "mine.safetensors"
    path.write_bytes(trained.save_network(model, about))
    return path


def refused(path):
    with pytest.raises(CourseError) as caught:
        trained.load(path)
    assert "\n" not in str(caught.value) and str(path) in str(caught.value)
    return str(caught.value)


def test_a_network_of_yours_comes_back_nearly_as_it_was(tmp_path):
    model = small()
    back = trained.load(written(tmp_path, model))
    x = torch.randn(3, 80, 16, generator=torch.Generator().manual_seed(1)) * 10 - 60
    with torch.inference_mode():
        assert torch.allclose(back.model(x), model(x), atol=0.02)
        # The layer is small and stored as it is
        exact = model.model.frame_reducer(x / NATS["db"]).scores
    assert np.array_equal(back.widths(x.numpy()), exact.numpy())


def test_a_name_that_there_is_not():
    with pytest.raises(UsageError, match=r"'probe-contrst'.*probe-contrast"):
        trained.load("probe-contrst")


def test_weights_of_another_shape(tmp_path):
    three = ABOUT | {"classes": ["a", "b", "c"]}
    assert "is (2, 128), expected shape (3, 128)" in refused(written(tmp_path, small(), three))
    other = ABOUT | {"run": ABOUT["run"] | {"features.n_mels": 40}}
    assert "weights of another net" in refused(written(tmp_path, small(), other))
    none = ABOUT | {"run": ABOUT["run"] | {"frame_reducer": "none"}}
    assert "weights of another net" in refused(written(tmp_path, small(), none))


def test_a_description_of_no_network(tmp_path):
    assert "unknown" in refused(written(tmp_path, small(), ABOUT | {"run": ABOUT["run"] | {"model": "cnn8"}}))
    assert "does not describe" in refused(written(tmp_path, small(), {"classes": ["a"]}))


def test_damaged_files(tmp_path):
    path = tmp_path / "probe-contrast.safetensors"
    shutil.copy(trained.folder() / path.name, path)
    whole = path.read_bytes()
    path.write_bytes(whole[:-100] + bytes(100))
    assert "SHA-256" in refused(path)
    path.write_bytes(whole[: len(whole) // 2])
    assert "damaged" in refused(path)
    path.write_bytes(b"no weights at all")
    assert "damaged" in refused(path)


def test_weights_without_a_description(tmp_path):
    path = tmp_path / "plain.safetensors"
    save_file({"a": torch.zeros(3)}, path)
    assert "not which network" in refused(path)


def test_weights_changed_after_they_were_saved(tmp_path):
    path = written(tmp_path, small())
    with safe_open(path, framework="pt") as file:
        given = file.metadata()
    changed = load_file(path)
    changed["model.frame_reducer.gain"] += 1
    save_file(changed, path, given)
    assert "SHA-256" in refused(path)


@pytest.mark.parametrize(
    "change",
    [
        lambda about: about["classes"].reverse(),
        lambda about: about["run"].update({"features.hop_ms": 5.0}),
        lambda about: about.update(found={"test_accuracy": 1.0}),
    ],
)
def test_a_description_changed_after_it_was_saved(tmp_path, change):
    path = written(tmp_path, small())
    with safe_open(path, framework="pt") as file:
        given = file.metadata()
    about = json.loads(given["about"])
    change(about)
    save_file(load_file(path), path, given | {"about": json.dumps(about)})
    assert "SHA-256" in refused(path)


@pytest.mark.parametrize("run", [None, [], {"model": "cnn7", "frame_reducer": None}])
def test_a_description_whose_run_is_none(tmp_path, run):
    assert "does not describe" in refused(written(tmp_path, small(), ABOUT | {"run": run}))


def test_a_tensor_too_many(tmp_path, monkeypatch):
    model = small()
    more = model.state_dict() | {"model.more": torch.zeros(3)}
    monkeypatch.setattr(model, "state_dict", lambda: more)
    assert "model.more is not part of the network" in refused(written(tmp_path, model))


def test_every_output_channel_is_rounded_by_its_own_scale():
    """A single scale would leave nothing of the small channel."""
    value = torch.ones(2, 6000) * torch.tensor([[1000.0], [0.001]])
    back = trained._whole(trained._small({"w": value}))["w"]
    assert torch.allclose(back, value, rtol=0.01)


def test_log_mels_of_any_type_of_number(test_clips):
    _, x, _ = test_clips
    run = trained.load("probe-contrast")
    wanted = run.widths(x[:2])
    for same in (x[:2].astype(np.float64), torch.tensor(x[:2])):
        assert np.allclose(run.widths(same), wanted, atol=1e-5)


@pytest.mark.parametrize("reduction", [-0.1, 1.0, 0.9999, float("nan")])
def test_a_reduction_out_of_range(reduction):
    run = trained.load("probe-contrast")
    with pytest.raises(ValueError, match="reduction") as caught:
        run.widths(np.full((1, 401, 16), -60.0, np.float32), reduction)
    assert "\n" not in str(caught.value)


def test_widths_need_a_layer_and_the_right_mels():
    with pytest.raises(UsageError, match="esc10-fixed: this network gives no widths"):
        trained.load("esc10-fixed").widths(np.zeros((1, 100, 64), np.float32))
    with pytest.raises(ValueError, match="40 mels, expected 16"):
        trained.load("probe-contrast").widths(np.zeros((1, 100, 40), np.float32))


def test_no_success_on_another_processor_is_one_line():
    failed = trained.load("probe-light-fails")
    with pytest.raises(CourseError, match=r"diffres-light:0.9: no run with seeds \[3\] reached 95%"):
        networks.successes([failed])
    assert networks.successes([failed, trained.load("probe-contrast")])[0].name == "probe-contrast"

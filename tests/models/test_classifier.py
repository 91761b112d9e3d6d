"""Frame reducers by name before the networks of the course: shapes, gradients, units of level, guide loss."""

import numpy as np
import pytest
import torch

from course_lib.audio.features import FeatureSpec, floor_level
from course_lib.audio.spec_augment import spec_augment
from course_lib.models.classifier import REDUCERS, Normalised, ReducedClassifier, build, classifier, parse_reducer
from course_lib.models.diffres import WarpMerge
from course_lib.training import supervised

DB = 10 / np.log(10)


def clips(n=4, n_frames=80, n_mels=64, seed=0):
    """Log-mels in dB, `(clips, frames, mels)`, float32."""
    rng = np.random.default_rng(seed)
    loud = 10 * rng.standard_normal((n, n_frames, 1)).cumsum(1) / n_frames**0.5
    return (-40 + loud + 4 * rng.standard_normal((n, n_frames, n_mels))).astype(np.float32)


def test_a_frame_reducer_is_a_name_and_a_share():
    assert parse_reducer("diffres:0.5") == ("diffres", 0.5)
    assert parse_reducer("average:0") == ("average", 0.0)


@pytest.mark.parametrize(
    ("frame_reducer", "words"),
    [
        ("diffres", "expected diffres:SHARE"), ("diffres:half", "expected diffres:SHARE"), ("diffres:1", "SHARE"),
        ("diffres:-0.5", "SHARE"), ("diffres:nan", "SHARE"),
        ("difres:0.5", "NAME:SHARE; did you mean diffres"), ("", "choose none, or NAME:SHARE"),
    ],
)  # fmt: skip
def test_what_is_no_frame_reducer_is_one_line(frame_reducer, words):
    with pytest.raises(ValueError, match=words):
        parse_reducer(frame_reducer)


@pytest.mark.parametrize("name", REDUCERS)
@pytest.mark.parametrize("model", ["cnn7", "lite0-scratch", "ast-tiny", "mast-tiny"])
def test_drop_in_before_any_network(name, model):
    torch.manual_seed(0)
    x = torch.tensor(clips(2, 140))
    net = Normalised(classifier(model, 5, reducer=f"{name}:0.5", n_frames=140), clips(8, 140))
    logits = net(x)
    assert logits.shape == (2, 5) and torch.isfinite(logits).all()
    logits.square().sum().backward()
    for stage in net.stages:
        gradients = [p.grad for p in stage.parameters()]
        assert all(g is not None and torch.isfinite(g).all() for g in gradients)
        assert any(g.abs().sum() > 0 for g in gradients)
    learns = any(True for _ in net.model.frame_reducer.parameters())
    assert len(net.stages) == len(build(model, 5, shape=(70, 64)).stages) + learns


@pytest.mark.parametrize("name", ["diffres-light", "energy", "linear"])
def test_decibels_and_nats_are_the_same_sound(name):
    answers = []
    for log, unit in (("db", 1.0), ("ln", 1 / DB)):
        torch.manual_seed(0)
        net = Normalised(classifier("cnn7", 5, reducer=f"{name}:0.5", log=log), clips(8) * unit).eval()
        with torch.no_grad():
            answers.append(net(torch.tensor(clips() * unit, dtype=torch.float32)))
    assert torch.allclose(*answers, atol=1e-3)


def test_the_normalisation_stands_behind_the_merge():
    frame_reducer = REDUCERS["uniform"](64, 0.5)
    seen = []
    net = build("cnn7", 5, channels=3)
    net.register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    x = clips(64, 80)
    Normalised(ReducedClassifier(frame_reducer, net, 64, "db"), x)(torch.tensor(x))
    mean = seen[0][:, 0]
    places = frame_reducer(torch.tensor(x) / DB).features[:, 2]
    assert torch.equal(seen[0][:, 2], places)  # where a frame was is no level
    # power was merged, not normalised values: what the mean of two frames is in dB, normalised
    power = (torch.tensor(x) / DB).exp().view(64, 40, 2, 64).mean(2).log() * DB
    wanted = (power - torch.tensor(x.mean((0, 1)))) / torch.tensor(x.std((0, 1)))
    assert torch.allclose(mean, wanted, atol=1e-2)


def test_a_reducer_of_your_own_gets_the_statistics_too():
    """As in scenes: in natural log power, if it has a method for them."""

    class Own(WarpMerge):
        def standardise(self, mean, std):
            self.given = mean, std

    frame_reducer, x = Own(64, 0.5), clips(8)
    Normalised(ReducedClassifier(frame_reducer, build("cnn7", 5, channels=3), 64, "db"), x)
    torch.testing.assert_close(frame_reducer.given[0], torch.tensor(x.mean((0, 1)) / DB, dtype=torch.float32))
    torch.testing.assert_close(frame_reducer.given[1], torch.tensor(x.std((0, 1)) / DB, dtype=torch.float32))


def test_power_itself_has_no_logarithm_to_undo():
    with pytest.raises(ValueError, match="log='none': a frame reducer merges power"):
        classifier("cnn7", 5, reducer="diffres:0.5", log="none")


def test_masks_can_empty_the_linear_spectrogram():
    spec = FeatureSpec()
    x = torch.tensor(clips(3, 100))
    mean, floor = (spec_augment(x, np.random.default_rng(0), spec, mask_value=fill) for fill in ("mean", "floor"))
    hidden = (floor - floor_level(spec)).abs() < 1e-4
    assert floor_level(spec) == pytest.approx(-100) and 0 < hidden.float().mean() < 0.9
    assert torch.equal(mean[~hidden], floor[~hidden]) and torch.equal(floor[~hidden], x[~hidden])
    with pytest.raises(ValueError, match="mask_value='zero': choose one of mean, floor"):
        spec_augment(x, np.random.default_rng(0), spec, mask_value="zero")


def fitted(frame_reducer, **recipe):
    x, y = clips(24, 60, seed=1), np.arange(24) % 2
    x[y == 1, ::2] -= 30  # a rhythm that an average of two frames hides
    examples, steps = supervised.Split(x, y, 2), supervised.Recipe(steps=6, batch_size=8, n_evals=1, **recipe)
    torch.manual_seed(0)
    model = classifier("cnn7", 2, reducer=frame_reducer)
    return supervised.fit(model, examples, examples, steps, FeatureSpec(), seed=0)


def weights(found):
    return torch.cat([p.detach().flatten() for p in found.model.parameters()])


def test_the_guide_loss_acts_on_scores_that_are_learnt_and_on_nothing_else():
    masks = {"spec_augment": True, "mask_value": "floor", "precision": "fp32"}
    for frame_reducer, differs in (("none", False), ("average:0.5", False), ("diffres-light:0.5", True)):
        without, guided = (weights(fitted(frame_reducer, guide=guide, **masks)) for guide in (0.0, 100.0))
        assert torch.equal(without, guided) != differs, frame_reducer


def test_the_guide_loss_is_the_mean_over_the_batch():
    net = Normalised(classifier("cnn7", 2, reducer="diffres-light:0.5"), clips(8))
    x = torch.tensor(clips())
    x[0, 20:60] = floor_level(FeatureSpec())
    net(x)
    alone = net.model.frame_reducer(x / net.model.nat).guide_loss
    assert alone[0] > 0 and float(net.guide_loss.detach()) == pytest.approx(float(alone.detach().mean()), rel=1e-4)
    with torch.no_grad():
        net(x)
    assert net.guide_loss == 0, "a network in use has no loss"
    assert Normalised(build("cnn7", 2), clips(8)).guide_loss == 0


def test_a_model_is_normalised_once():
    """A second time the reducer would get normalised levels for power: accuracy fell from 0.88 to 0.25, silently."""
    once = Normalised(classifier("cnn7", 2, reducer="diffres-light:0.5"), clips(8))
    with pytest.raises(ValueError, match=r"^the model is normalised already"):
        Normalised(once, clips(8))
    split = supervised.Split(clips(8), np.arange(8) % 2, 2)
    with pytest.raises(ValueError, match="normalised already"):
        supervised.fit(once, split, None, supervised.Recipe(steps=1), FeatureSpec())

"""Classes that lie apart are told from classes that do not, and no clip vouches for itself."""

import numpy as np
import pytest

from course_lib.evaluation.separability import separability


def blobs(apart, n_sources=8, clips=3, classes=4, dims=6, seed=0):
    """Classes whose centres lie `apart` standard deviations from each other; clips of a source lie close together."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(classes), n_sources * clips)
    sources = np.repeat(np.arange(classes * n_sources), clips)
    centres = apart * np.eye(classes, dims)[labels]
    return centres + rng.standard_normal((len(set(sources)), dims))[sources] + 0.05 * rng.standard_normal(
        (len(labels), dims)
    ), labels, sources  # fmt: skip


def test_classes_farther_apart_are_more_separable_by_every_measure():
    near, far = (separability(*blobs(apart), draws=20) for apart in (1.0, 6.0))
    for name in ("silhouette", "nmi", "purity"):
        assert far[name].low > near[name].high, name
    assert far["davies_bouldin"].high < near["davies_bouldin"].low
    assert far["purity"].mean > 0.95 and far["nmi"].mean > 0.9


def test_clips_of_one_source_do_not_count_as_neighbours():
    """Sources scattered without regard to class: clips of a source lie together, and would look like a class."""
    x, labels, sources = blobs(0.0)
    found = separability(x, labels, sources, neighbours=2, draws=5)
    assert found["purity"].mean < 0.5


def test_where_few_clips_are_of_other_sources_they_alone_are_neighbours():
    """Eight clips of eight sources: no clip is its own neighbour, however many are asked for."""
    x, labels, sources = blobs(50.0, n_sources=4, clips=1, classes=2, dims=2)
    found = separability(x, labels, sources, neighbours=10, draws=5)
    assert found["purity"].mean == pytest.approx(3 / 7), "seven others, three of them of its class"


def test_scale_and_shift_of_a_dimension_change_nothing():
    x, labels, sources = blobs(2.0)
    one = separability(x, labels, sources, draws=5)
    other = separability(x * [1, 100, 1e-3, 1, 1, 7] + 50, labels, sources, draws=5)
    assert all(one[name].mean == pytest.approx(other[name].mean, abs=1e-6) for name in one)


def test_the_measures_are_those_of_scikit_learn():
    from sklearn.metrics import davies_bouldin_score, silhouette_score

    x, labels, sources = blobs(2.0)
    found = separability(x, labels, sources, draws=2)
    scaled = (x - x.mean(0)) / x.std(0)
    assert found["silhouette"].mean == pytest.approx(silhouette_score(scaled, labels))
    assert found["davies_bouldin"].mean == pytest.approx(davies_bouldin_score(scaled, labels))


@pytest.mark.parametrize(
    ("cut", "words"),
    [
        (lambda x, y, s: (x[:, 0], y, s), "one of each per clip"),
        (lambda x, y, s: (x, y[1:], s), "one of each per clip"),
        (lambda x, y, s: (x, 0 * y, s), "1 classes"),
        (lambda x, y, s: (x, y, y), "4 of them from fewer than four sources"),
    ],
)
def test_what_cannot_be_separated_is_one_line(cut, words):
    with pytest.raises(ValueError, match=words):
        separability(*cut(*blobs(2.0)))


def test_intervals_reach_as_far_as_halves_of_the_sources_scatter():
    """1.96 standard deviations on random halves: about as much as the measure differs between two other sets."""
    found = separability(*blobs(1.5), draws=200)["silhouette"]
    twins = [separability(*blobs(1.5, n_sources=4, seed=seed), draws=2)["silhouette"].mean for seed in range(30)]
    assert found.high - found.mean == pytest.approx(1.96 * np.std(twins), rel=0.4)

"""Models and frame reducers of the user's own: the example of study/README.md, and mistakes in one line."""

import re

import pytest
import torch

from course_lib.errors import UsageError
from course_lib.models import classifier
from course_lib.paths import repo_root
from course_lib.study import clip_run, engine, grid, plugins
from course_lib.study.config import RunSpec, to_dict


@pytest.fixture(autouse=True)
def as_before():
    """Names registered by a test are gone after it."""
    yield
    for registry in (classifier.MODELS, classifier.REDUCERS):
        for name in set(registry) - classifier.BUILT_IN:
            del registry[name]


@pytest.fixture
def example(tmp_path):
    """The two files of the example in study/README.md; returns the grid."""
    text = (repo_root() / "study" / "README.md").read_text(encoding="utf-8")
    nets = re.search(r"```python\n(# mynets\.py\n.*?)```", text, re.DOTALL)[1]
    runs = re.search(r'```toml\n(plugin = "mynets\.py"\n.*?)```', text, re.DOTALL)[1]
    (tmp_path / "mynets.py").write_text(nets)
    (tmp_path / "mine.toml").write_text(runs)
    return tmp_path / "mine.toml"


def test_the_example_runs_on_workers_that_never_saw_its_file(example, tmp_path):
    mine = grid.read(example)
    grid.check(mine)
    (tmp_path / "mynets.py").unlink()
    records = engine.run_grid(mine.specs, tmp_path / "run", jobs=2, device="cpu")
    assert [record.get("error", record["status"]) for record in records] == ["done"] * 4
    digest = mine.specs[-1].plugin
    assert [record["plugin"] for record in records] == ["none", digest, digest, digest]
    assert "class Small" in (tmp_path / "run" / "plugins" / f"{digest}.py").read_text()


def test_a_change_of_the_file_changes_the_keys_of_the_rows_that_need_it(example, tmp_path):
    before = grid.read(example).specs
    nets = tmp_path / "mynets.py"
    nets.write_text(nets.read_text().replace("Conv2d(channels, 16, 5", "Conv2d(channels, 16, 3"))
    after = grid.read(example).specs
    assert [one.key == other.key for one, other in zip(before, after, strict=True)] == [True, False, False, False]
    small = [next(run for run in runs if run.model == "small") for runs in (before, after)]
    sizes = [clip_run.network(run, 10, (100, 64)).layers[0].kernel_size for run in small]
    assert sizes == [(5, 5), (3, 3)], "each row gets the network of its own version"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "cannot be read: "),
        ("import no_such_package", "cannot be imported: ModuleNotFoundError: No module named 'no_such_package'"),
        ("class Small(:\n", "cannot be imported: SyntaxError: "),
        ("small = 1", "expected a dictionary MODELS or REDUCERS"),
        ("MODELS = {'cnn7': print}", "'cnn7' is a name of the course's own; choose another"),
        ("REDUCERS = {'diffres': print}", "'diffres' is a name of the course's own"),
        ("MODELS = {'small': lambda *shape: 1 / 0}", "small behind loudest:0.5 cannot take"),
    ],
)
def test_a_mistake_in_a_plugin_is_one_line(example, tmp_path, text, message):
    nets = tmp_path / "mynets.py"
    if text is None:
        nets.unlink()
    elif "small" in text and "MODELS" in text:
        nets.write_text(nets.read_text() + text)
        example.write_text(example.read_text().replace('"cnn7", ', "").replace('"none", ', ""))
    else:
        nets.write_text(text)
    with pytest.raises(UsageError, match=re.escape(message)) as found:
        grid.check(grid.read(example))
    assert "\n" not in str(found.value) and str(found.value).startswith(str(example))


def test_a_plugin_is_a_line_of_the_whole_grid(example):
    example.write_text(example.read_text().replace("[common]", "[common]\nplugin = 'mynets.py'"))
    with pytest.raises(UsageError, match="common: plugin: unknown key"):
        grid.read(example)


def test_a_script_registers_a_network_for_its_own_process():
    def make(n_classes, channels, shape):
        return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(shape[0] * shape[1], n_classes))

    classifier.register_model("flat", make)
    net = classifier.classifier("flat", 3, n_mels=8, n_frames=5)
    assert net(torch.zeros(2, 5, 8)).shape == (2, 3) and net.stages == [net]
    assert to_dict(RunSpec("synth10", 1, 0, model="flat"))["plugin"] == "none"
    with pytest.raises(UsageError, match="is a name of the course's own"):
        classifier.register_model("cnn7", make)
    assert plugins.use("none") is None

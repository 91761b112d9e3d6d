"""The workflows give commands that exist: targets of the Makefile, and the commands that the course documents."""

import re

import pytest
import yaml

from course_lib.paths import repo_root

WORKFLOWS = sorted((repo_root() / ".github" / "workflows").glob("*.yml"))


def commands(workflow):
    """Every command that a step of `workflow` runs."""
    jobs = yaml.safe_load(workflow.read_text(encoding="utf-8"))["jobs"]
    return [step["run"] for job in jobs.values() for step in job["steps"] if "run" in step]


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_every_target_of_make_exists(workflow):
    targets = re.findall(r"^([a-z]+):", (repo_root() / "Makefile").read_text(encoding="utf-8"), re.M)
    asked = [command.split()[1] for command in commands(workflow) if command.startswith("make ")]
    assert asked and set(asked) <= set(targets)


def test_the_tests_and_the_course_are_run():
    given = " ".join(command for workflow in WORKFLOWS for command in commands(workflow))
    assert "make test" in given and "make course" in given

# make course, make test: set everything up and run. Needs Python 3.11 to 3.13 and make; no root, no conda.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PY      ?= python3
PROFILE ?= lesson
DATASET ?= synth10
JOBS    ?= 2
ARGS    ?=

# uv from the machine if it is there, else a copy of our own below .tools
UV  := $(shell command -v uv 2>/dev/null || echo .tools/bin/uv)
RUN := $(UV) run --locked --no-sync

.PHONY: help course test lab site generate study faults expect doctor bench lint lock clean
help: ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

.tools/bin/uv:
	@echo "== uv is not on this machine: installing it into .tools"
	@$(PY) -m venv .tools
	@.tools/bin/pip install --quiet --disable-pip-version-check uv==0.13.8

.venv/.ready: pyproject.toml uv.lock | $(filter .tools/bin/uv,$(UV))
	@echo "== installing the locked packages into .venv (about 3 GB to fetch the first time on Linux)"
	@$(UV) sync --locked --compile-bytecode
	@touch $@

course: .venv/.ready ## every notebook through papermill (PROFILE=lesson|study|smoke DATASET=synth10|esc10|manifest.csv)
	@echo "== running the notebooks: profile $(PROFILE), data set $(DATASET)"
	@$(RUN) course run --profile $(PROFILE) --dataset $(DATASET) --jobs $(JOBS) $(ARGS)

test: .venv/.ready ## all tests: units, properties, structure, notebooks and their solutions
	@echo "== lint"
	@$(RUN) ruff check .
	@echo "== tests, a file a core"
	@OMP_NUM_THREADS=1 $(RUN) pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder --max-worker-restart 2 $(ARGS)

.tools/judge: tests/evaluation/judge.txt | $(filter .tools/bin/uv,$(UV))
	@echo "== building sed_scores_eval in an environment of its own, which the test of PSDS compares with"
	@$(UV) venv --quiet --clear --python $(PY) $@
	@$(UV) pip install --quiet --python $@ -r $<
	@touch $@

lab: .venv/.ready ## copy the notebooks into work/, where they are yours, and open JupyterLab at the first
	@$(RUN) course work $(ARGS)
	@$(RUN) jupyter lab --ServerApp.root_dir=. work/00_start_here.ipynb

.venv/.site: .venv/.ready
	@echo "== installing what the site is built with, and ONNX, which the tests of its files need"
	@$(UV) sync --locked --compile-bytecode --group site --group export
	@touch $@

site: .venv/.site ## the latest run of the notebooks as a site in runs/site/html (make course first)
	@$(RUN) course site $(ARGS)

generate: .venv/.ready ## write what is derived: notebooks, README tables, data cards
	@$(RUN) course generate

study: .venv/.ready ## the whole study, what is not on record of it; then every table and figure from its rows (hours)
	@$(RUN) course study run study --jobs $(JOBS) $(ARGS)
	@$(RUN) course study report study --publish

faults: .venv/.ready ## produce every fault and write docs/faults.md from what is seen
	@$(RUN) pytest tests/faults --write-table

expect: .venv/.ready ## measure the expected values over five seeds (PROFILE, DATASET)
	@$(RUN) course expect --profile $(PROFILE) --dataset $(DATASET) --jobs $(JOBS) $(ARGS)

doctor: .venv/.ready ## what this machine has and lacks
	@$(RUN) course doctor

bench: .venv/.ready ## speed against other libraries, as ratios in one run
	@$(UV) run --locked --group bench python bench/features.py --json bench/results/features.json
	@$(UV) run --locked --group bench python bench/augment.py --json bench/results/augment.json
	@$(UV) run --locked --group bench python bench/train.py --json bench/results/train.json
	@$(UV) run --locked --group bench python bench/study.py --json bench/results/study.json
	@$(UV) run --locked --group bench python bench/diffres.py --json bench/results/diffres.json
	@$(UV) run --locked --group bench python bench/frontier.py --json bench/results/frontier.json
	@$(UV) run --locked --group bench python bench/transformers.py --json bench/results/transformers.json
	@$(UV) run --locked --group bench python bench/sed_metrics.py --json bench/results/sed_metrics.json
	@$(UV) run --locked --group bench python bench/pretrained.py --json bench/results/pretrained.json

lint: .venv/.ready ## style of the code
	@$(RUN) ruff check . && $(RUN) ruff format --diff course_lib tests bench

lock: | $(filter .tools/bin/uv,$(UV)) ## resolve the packages again after pyproject.toml changed
	@$(UV) lock

clean: ## remove what runs left; downloads and packages stay
	@rm -rf runs .pytest_cache .ruff_cache .hypothesis

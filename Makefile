# make course, make test: set everything up and run. Needs Python 3.11 to 3.13 and make; no root, no conda.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PY      ?= python3
PROFILE ?= lesson
DATASET ?= synth10
JOBS    ?= 2
ARGS    ?=

# uv from the machine if it is there, otherwise our own copy in .tools
UV  := $(shell command -v uv 2>/dev/null || echo .tools/bin/uv)
RUN := $(UV) run --locked --no-sync

.PHONY: help course test lab site generate study faults expect doctor bench lint lock clean
help: ## show this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

.tools/bin/uv:
	@echo "== uv is not on this machine: installing it into .tools"
	@$(PY) -m venv .tools
	@.tools/bin/pip install --quiet --disable-pip-version-check uv==0.13.8

.venv/.ready: pyproject.toml uv.lock | $(filter .tools/bin/uv,$(UV))
	@echo "== installing the locked packages into .venv (downloads about 3 GB the first time on Linux)"
	@$(UV) sync --locked --compile-bytecode
	@touch $@

course: .venv/.ready ## run and check every notebook (PROFILE=lesson|study|smoke DATASET=synth10|esc10|my_sounds/|manifest.csv)
	@echo "== running the notebooks: profile $(PROFILE), data set $(DATASET)"
	@$(RUN) course run --profile $(PROFILE) --dataset $(DATASET) --jobs $(JOBS) $(ARGS)

test: .venv/.ready ## run all tests: units, properties, structure, notebooks and their solutions
	@echo "== lint"
	@$(RUN) ruff check .
	@echo "== tests, one file per core"
	@OMP_NUM_THREADS=1 $(RUN) pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder --max-worker-restart 2 $(ARGS)

.tools/judge: tests/evaluation/judge.txt | $(filter .tools/bin/uv,$(UV))
	@echo "== building sed_scores_eval, the reference for the PSDS test, in its own environment"
	@$(UV) venv --quiet --clear --python $(PY) $@
	@$(UV) pip install --quiet --python $@ -r $<
	@touch $@

lab: .venv/.ready ## copy the notebooks into work/, for you to edit, and open the first in JupyterLab
	@$(RUN) course work $(ARGS)
	@$(RUN) jupyter lab --ServerApp.root_dir=. work/00_start_here.ipynb

.venv/.site: .venv/.ready
	@echo "== installing the packages that build the site, and ONNX for the tests of exported networks"
	@$(UV) sync --locked --compile-bytecode --group site --group export
	@touch $@

site: .venv/.site ## make a site of the latest complete run in runs/site/html (make course first)
	@$(RUN) course site $(ARGS)

generate: .venv/.ready ## write everything derived: notebooks, tables, figures, data cards, metadata
	@$(RUN) course generate

study: .venv/.ready ## run every row of the study that is not on record, then write its tables and figures (hours)
	@$(RUN) course study run study --jobs $(JOBS) $(ARGS)
	@$(RUN) course study report study --publish

faults: .venv/.ready ## produce every fault and write docs/faults.md from what the user sees
	@$(RUN) pytest tests/faults --write-table

expect: .venv/.ready ## measure the expected values over five seeds (PROFILE, DATASET)
	@$(RUN) course expect --profile $(PROFILE) --dataset $(DATASET) --jobs $(JOBS) $(ARGS)

doctor: .venv/.ready ## report what this machine has and lacks
	@$(RUN) course doctor

bench: .venv/.ready ## run the benchmarks (on an idle machine)
	@$(UV) run --locked --group bench python bench/features.py --json bench/results/features.json
	@$(UV) run --locked --group bench python bench/augment.py --json bench/results/augment.json
	@$(UV) run --locked --group bench python bench/train.py --json bench/results/train.json
	@$(UV) run --locked --group bench python bench/study.py --json bench/results/study.json
	@$(UV) run --locked --group bench python bench/diffres.py --json bench/results/diffres.json
	@$(UV) run --locked --group bench python bench/frontier.py --json bench/results/frontier.json
	@$(UV) run --locked --group bench python bench/transformers.py --json bench/results/transformers.json
	@$(UV) run --locked --group bench python bench/sed_metrics.py --json bench/results/sed_metrics.json
	@$(UV) run --locked --group bench python bench/pretrained.py --json bench/results/pretrained.json

lint: .venv/.ready ## check the style of the code
	@$(RUN) ruff check . && $(RUN) ruff format --diff course_lib tests bench

lock: | $(filter .tools/bin/uv,$(UV)) ## update uv.lock after a change of pyproject.toml
	@$(UV) lock

clean: ## remove runs (records of the study included) and caches of tools; keep downloads and packages
	@rm -rf runs .pytest_cache .ruff_cache .hypothesis

# `make quickstart` and `make test` need only make and CPython 3.11 or 3.12; `make PYTHON=/path/to/python` picks one.

SHELL := /bin/bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help quickstart test lint format notebooks newest clean

, := ,

# The first that runs: a launcher may exist for a version that is not installed.
RUNS = import sys, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 13))
PYTHON ?= $(shell for p in python3.11 python3.12 python3 python; do \
	$$p -c '$(RUNS)' >/dev/null 2>&1 && { echo $$p; break; }; done)
PYTEST ?=
# Tests that share what they prepare stay in one process: tests/conftest.py says which. `make test PARALLEL=` takes
# one for all.
PARALLEL ?= -n auto --maxprocesses 4 --dist loadgroup --no-loadscope-reorder

INPUTS = setup.cfg pyproject.toml
# On JAX each layer is held against what all promise, and the fusions against their papers' formulas.
ON_JAX = tests/fusion tests/test_helpers.py tests/test_layers.py

help:
	@echo "make quickstart   install into .venv, then: data, training, evaluation, export, prediction"
	@echo "make test         every test, the slow ones too; make test PYTEST='-k fusion -x' passes arguments on"
	@echo "make lint         ruff check and ruff format --check;  make format mends"
	@echo "make notebooks    run the notebooks"
	@echo "make newest       the core tests on TensorFlow 2.21, then the layers on Keras's JAX backend"
	@echo "make clean        remove environments and caches"

# $(1) folder, $(2) constraints, $(3) extras. `.made` and the stamp are written last: a folder without `.made`
# is half-made and begins anew, as does one whose Python no longer runs; without the stamp, pip runs again.
define install
	@test -n "$(PYTHON)" && $(PYTHON) -c '$(RUNS)' >/dev/null 2>&1 || { \
		echo "mm_keras needs CPython 3.11 or 3.12 with venv and pip. Received: PYTHON='$(PYTHON)'." \
		"Install one (Debian, Ubuntu: apt install python3.11-venv; macOS: brew install python@3.11)," \
		"or name it: make PYTHON=/path/to/python3.11" >&2; exit 2; }
	@if ! { test -e $(1)/.made && $(1)/bin/python -m pip --version >/dev/null 2>&1; }; then \
		rm -rf $(1) && $(PYTHON) -m venv $(1) && touch $(1)/.made; fi
	$(1)/bin/python -m pip install --quiet --disable-pip-version-check -e '.[$(3)]' -c $(2)
	@touch $@
endef

.venv/.stamp: $(INPUTS) constraints/default.txt $(shell .venv/bin/python -c pass >/dev/null 2>&1 || echo broken)
	$(call install,.venv,constraints/default.txt,test)

.venv-newest/.stamp: $(INPUTS) constraints/newest.txt $(shell .venv-newest/bin/python -c pass >/dev/null 2>&1 || echo broken)
	$(call install,.venv-newest,constraints/newest.txt,test$(,)jax)

# Never exists, so that what needs it is made again.
.PHONY: broken
broken:

quickstart: .venv/.stamp
	.venv/bin/mm-keras quickstart

test: .venv/.stamp
	.venv/bin/python -m pytest $(PARALLEL) $(PYTEST)

lint: .venv/.stamp
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .

format: .venv/.stamp
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .

notebooks: .venv/.stamp
	.venv/bin/python -m pytest tests/test_notebooks.py $(PYTEST)

newest: .venv-newest/.stamp
	.venv-newest/bin/python -m pytest -m core $(PARALLEL) $(PYTEST)
	KERAS_BACKEND=jax .venv-newest/bin/python -m pytest -m "core and not slow" $(PARALLEL) $(ON_JAX) $(PYTEST)

clean:
	rm -rf .venv .venv-newest .pytest_cache .ruff_cache .hypothesis .coverage htmlcov build *.egg-info
	find mm_keras tests -name __pycache__ -type d -prune -exec rm -rf {} +

# `make` lists the targets. Python 3.11 to 3.13 and make are all that is needed beforehand.
PORT ?= 8501
ARGS ?=
VENV := .venv
ifeq ($(OS),Windows_NT)
PY := $(VENV)/Scripts/python.exe
SWITCHBOARD := $(VENV)/Scripts/switchboard.cmd
else
PY := $(VENV)/bin/python
SWITCHBOARD := $(VENV)/bin/switchboard
endif
# Sets up: $(call environment,KIND) or, as that program in the end, $(call environment,KIND PROGRAM)
environment = @python=$$(sh scripts/find-python $(PY)) && exec "$$python" -m scripts.environment $(1)
PARALLEL := -n 2 --dist loadfile
export PYTHON

.DEFAULT_GOAL := help
.PHONY: help run test test-fast test-full check lock front bench doctor clean screenshots setup setup-dev prepare

help: ## List the targets
	@echo 'make <target> [PORT=8600] [ARGS="..."]'
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' Makefile

run: ## Set up what is missing and start the dashboard: make run PORT=8600
	$(call environment,run switchboard run --port '$(PORT)')

test: prepare ## What a change needs, as CI runs it; some: ARGS="tests/unit -k lock"
	@$(PY) -m scripts.frontend test
	@$(PY) -m pytest $(PARALLEL) -m "not full" $(ARGS)

test-fast: setup-dev ## Unit tests: no process, no server, under a minute
	@$(PY) -m pytest $(PARALLEL) tests/unit $(ARGS)

test-full: prepare ## All tests: also repetitions, both databases, word error rates
	@$(PY) -m scripts.frontend test
	@$(PY) -m pytest $(PARALLEL) $(ARGS)

check: setup-dev ## Format, lint, types, import rules, lock files, front end, migrations, version
	@$(PY) -m scripts.check

lock: setup-dev ## Compile the requirements from pyproject.toml; new versions: ARGS=--upgrade
	@$(PY) -m scripts.lock $(ARGS)

front: setup-dev ## Build the front end into dashboard/components/build
	@$(PY) -m scripts.frontend build

bench: prepare ## Measure, as ratios within one run; some: ARGS="create join"
	@$(PY) -m bench $(ARGS)

screenshots: prepare ## Take the pictures in docs/screenshots anew
	@$(PY) -m scripts.screenshots

doctor: setup ## Say what is wrong with this installation and how to fix it
	@$(SWITCHBOARD) doctor $(ARGS)

clean: ## Remove what is made again: .venv, node_modules, caches. Data folders stay
	rm -rf $(VENV) .venv.lock frontend/node_modules test-results
	rm -rf .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

setup:
	$(call environment,run)

setup-dev:
	$(call environment,dev)

# livekit-server is built beside the installation.
prepare:
	$(call environment,dev python -m tests.support.prepare)

# From a fresh clone, `make demo` and `make test` need Python >= 3.11 and make, nothing else.
#
# All commands run in .venv, installed by pip from a lock with hashes. The runtime lock holds the build backend
# too, so that the package itself is installed (editable) without an isolated build and thus without any download
# that no hash guards. The developers' lock holds the runtime lock's versions and more: one .venv serves both.

PYTHON ?= python3
BIN := .venv/bin
PIP_INSTALL := $(BIN)/python -m pip install --quiet --quiet --disable-pip-version-check
COMPILE := $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-strip-extras --no-header \
	--no-emit-index-url pyproject.toml --group build

# Not the dagster.yaml at the top, which dg would take from here and which wants a PostgreSQL.
CHECK_HOME := $(CURDIR)/.venv/dagster

INSTALLED := .venv/.installed
INSTALLED_DEV := .venv/.installed-dev

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo ui test check bench bench-faults lock clean

help:  ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile

demo: $(INSTALLED)  ## bill the last complete month of a demo company into a sandbox of EASY Bill
	@$(BIN)/billing-pipeline demo

ui: $(INSTALLED)  ## Dagster's web UI on the demo, until Ctrl-C
	@$(BIN)/billing-pipeline ui

test: $(INSTALLED_DEV)  ## the whole test suite, on all cores; ARGS="-k name" for a part, ARGS=-n0 for one core
	@PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n logical $(ARGS)

check: $(INSTALLED_DEV)  ## format, lint, types, Dagster's definitions
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@mkdir -p $(CHECK_HOME) && touch $(CHECK_HOME)/dagster.yaml
	@VIRTUAL_ENV=$(CURDIR)/.venv DAGSTER_HOME=$(CHECK_HOME) DAGSTER_DISABLE_TELEMETRY=yes $(BIN)/dg check defs

bench: $(INSTALLED_DEV)  ## measure speed beside its floors; ARGS="--size L", ARGS="--into docs/performance.md"
	@PYTHONDONTWRITEBYTECODE= $(BIN)/python -m billing_pipeline_tests.benches $(ARGS)

bench-faults: $(INSTALLED_DEV)  ## deliver under thousands of faults, and judge by the receiver's own log
	@$(BIN)/python -m billing_pipeline_tests.faults --full $(ARGS)

lock: $(INSTALLED_DEV)  ## resolve pyproject.toml into the lock files anew; ARGS=--upgrade for newer releases
	$(COMPILE) --output-file requirements.lock $(ARGS)
	$(COMPILE) --group dev --all-extras --constraints requirements.lock --output-file requirements-dev.lock $(ARGS)
	$(COMPILE) --all-extras --constraints requirements-dev.lock --output-file deploy/requirements.lock $(ARGS)

clean:  ## remove what is generated, .venv and the demo's home (.billing/demo) included
	rm -rf .venv .billing/demo .pytest_cache .mypy_cache .ruff_cache .hypothesis .benchmarks dist build
	find billing_pipeline* -name __pycache__ -prune -exec rm -rf {} +

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo >&2 \
		"Python 3.11 or newer is needed, and $(PYTHON) is not: name another, as in 'make demo PYTHON=python3.12'"; exit 1; }
	@$(PYTHON) -m venv --clear .venv

$(INSTALLED): $(BIN)/python pyproject.toml requirements.lock
	@echo "Installing the locked dependencies into .venv (once; about a minute) ..."
	@$(PIP_INSTALL) --require-hashes --requirement requirements.lock
	@$(PIP_INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@

$(INSTALLED_DEV): $(BIN)/python pyproject.toml requirements-dev.lock
	@echo "Installing the locked dependencies and developers' tools into .venv (once; a minute or two) ..."
	@$(PIP_INSTALL) --require-hashes --requirement requirements-dev.lock
	@$(PIP_INSTALL) --no-deps --no-build-isolation --editable .
	@touch $(INSTALLED) $@

# `make demo` and `make test` are all that a new user needs: they set up whatever is missing, with progress.
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
LOCK := requirements/dev.lock
STAMP := $(VENV)/.installed-$(shell cat $(LOCK) pyproject.toml | cksum | cut -d' ' -f1)
export KAAS_LAB_STATE ?= $(CURDIR)/.lab/state

.PHONY: help setup demo demo-credentials demo-volumes demo-down test lint bench e2e crds clean

help:
	@echo "make setup      Python environment and the lab's programs (first time about 12 minutes on 2 cores, then a second)"
	@echo "make demo       a management cluster, an OpenStack cloud, and team-a becoming Ready on it"
	@echo "make demo-credentials  a Pod that is given the credentials of two clouds"
	@echo "make demo-volumes  a claim that is filled from a bucket, and a Pod that waits for it"
	@echo "make demo-down  ends everything that these started"
	@echo "make test       unit tests, contract tests on a real kube-apiserver, one life of a Cluster on the lab"
	@echo "make e2e        the longer end-to-end tests"
	@echo "make lint       ruff, mypy --strict, import contracts, generated files"
	@echo "make bench      measures, and prints each figure beside its target"
	@echo "make crds       writes deploy/crds anew from the models"

$(STAMP):
	@echo "== Python environment in $(VENV)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "kaas needs Python 3.11 or newer: make PYTHON=python3.11 ...")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(LOCK)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@rm -f $(VENV)/.installed-*
	@touch $@

setup: $(STAMP)
	@$(BIN)/kaas lab build

demo: setup
	@$(BIN)/python -m kaas.cli.demo up

demo-credentials: $(STAMP)
	@$(BIN)/python -m kaas.cli.demo_credentials up

demo-volumes: $(STAMP)
	@$(BIN)/python -m kaas.cli.demo_volumes up

demo-down: $(STAMP)
	@$(BIN)/python -m kaas.cli.demo_volumes down
	@$(BIN)/python -m kaas.cli.demo_credentials down
	@$(BIN)/python -m kaas.cli.demo down

# Those without a lab go side by side; those with labs one after the other, and no lab outlives its folder.
test: setup
ifdef PYTEST
	$(BIN)/python -m pytest -m "not slow" $(PYTEST)
else
	$(BIN)/python -m pytest -m "not slow" -n 2 --ignore=tests/contract --ignore=tests/e2e
	$(BIN)/python -m pytest -m "not slow" tests/contract
	$(BIN)/python -m pytest -m "not slow" tests/e2e
endif

e2e: setup
	$(BIN)/python -m pytest -m "e2e or slow" $(PYTEST)

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	PYTHONPATH=lab $(BIN)/lint-imports
	$(BIN)/python -m kaas.api.crd --check deploy/crds

bench: setup
	@$(BIN)/python -m tests.bench

crds: $(STAMP)
	$(BIN)/python -m kaas.api.crd --write deploy/crds

clean: demo-down
	rm -rf $(VENV) .lab

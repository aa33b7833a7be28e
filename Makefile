# Bareboat. `make help` lists the targets; each works on a bare Debian or Ubuntu machine with Python 3.11.
.DEFAULT_GOAL := help
# The distribution's own interpreter comes first: it is built with profile-guided and link-time optimisation, which is worth 15 % of
# the server's CPU against one that was compiled without (docs/performance.md). It has to be able to make virtual environments.
PYTHON ?= $(shell for each in /usr/bin/python3 python3; do \
	$$each -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$each && exit; done; echo python3)
VENV := .venv
BIN := $(VENV)/bin
PLUGINS := $(wildcard plugins/*)
EXAMPLES := $(wildcard examples/plugins/*)
# Tests of whole systems wait most of their time, so three side by side keep two cores busy.
PROCESSES ?= 3
SUDO := $(shell [ "$$(id -u)" = 0 ] || command -v sudo)

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(BIN)/bareboat host-tools  ## bring up a cluster, run examples/hello on it, show it working, clean up
	@$(BIN)/bareboat demo --examples examples/hello

test: $(VENV)/.dev test-tools  ## run the tests: everything that this machine can run; `make test PROCESSES=0` one after the other
	@$(BIN)/python -m pytest -n $(PROCESSES)

torture: $(VENV)/.dev test-tools  ## strike servers with faults, some 450 rounds, and check what their clients saw (25 minutes)
	@$(BIN)/python -m bareboat.testing.torture $(TORTURE)

check: $(VENV)/.dev  ## lint, types and layers; never edits
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy core/bareboat
	@for p in $(PLUGINS); do MYPYPATH=core:$$p:plugins/cni_bridge $(BIN)/mypy -p bareboat_$$(basename $$p) || exit 1; done
	@$(BIN)/lint-imports

fix: $(VENV)/.dev  ## format, mend what can be mended, write the pages that follow from the code
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .
	@$(BIN)/python scripts/contract-pages
	@$(BIN)/python scripts/reference-pages

bench: $(BIN)/bareboat bench-tools  ## measure every row of docs/performance.md; `make bench ROW=create-pod` one of them
	@$(BIN)/python -m bench $(if $(ROW),--row $(ROW)) $(BENCH_OPTIONS)

clean:  ## remove the virtual environment and caches
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache

$(VENV)/bin/uv:
	@$(PYTHON) -m venv $(VENV) 2>/dev/null || { $(SUDO) apt-get update -qq; $(SUDO) apt-get install -y -qq python3-venv; $(PYTHON) -m venv --clear $(VENV); }
	@$(BIN)/python -m pip install -q --disable-pip-version-check uv

$(BIN)/bareboat: pyproject.toml $(wildcard plugins/*/pyproject.toml) | $(VENV)/bin/uv
	@echo "Installing Bareboat and its plugins into $(VENV) …"
	@$(VENV)/bin/uv pip install -q --python $(BIN)/python -c constraints.txt -e . $(PLUGINS:%=-e ./%)
	@touch $@

$(VENV)/.dev: $(BIN)/bareboat
	@$(VENV)/bin/uv pip install -q --python $(BIN)/python -c constraints.txt --group dev $(EXAMPLES:%=-e ./%)
	@touch $@

host-tools test-tools bench-tools:
	@$(SHELL) scripts/host-tools $(patsubst %-tools,%,$(filter-out host-tools,$@))

.PHONY: help demo test torture check fix bench clean host-tools test-tools bench-tools

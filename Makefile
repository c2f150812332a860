# Everything runs from a virtual environment, .venv, filled from requirements.txt and,
# for the tests, from requirements-peers.txt.
# A bare machine needs git, make and Python >= 3.11; any target makes .venv first.

PYTHON ?= python3

VENV  := .venv
READY := $(VENV)/.ready
PY    := $(VENV)/bin/python

# The CUDA wheels are large: give a slow line time.
UV_HTTP_TIMEOUT ?= 600
export UV_HTTP_TIMEOUT

# $(PYTHON) chosen by hand, and .venv made with another version: make it anew.
version = $(shell $(1) -c "import sys; print(sys.version_info[:2])" 2>/dev/null)
ifneq ($(filter environment command,$(firstword $(origin PYTHON))),)
ifneq ($(wildcard $(READY)),)
ifneq ($(call version,$(PYTHON)),$(call version,$(PY)))
REMAKE := force
endif
endif
endif

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help book pdf test faults smoke runs lab lint gate audit lock clean distclean force

help: ## this list
	@echo "usage: make TARGET [PYTHON=python3.12]"
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-10s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

book: $(READY) ## build the book into _build/html from the committed results
	$(PY) -m report book

pdf: $(READY) ## build the book, and print it to one PDF by headless Chromium, which its first page then offers
	$(PY) -m report book --pdf

test: $(READY) ## run the tests (ARGS="..." goes to pytest)
	$(PY) -m pytest $(ARGS)

faults: $(READY) ## inject faults for some minutes: kills, half-written files, flipped bits, shared folders, bad inputs
	$(PY) -m pytest -m "faults or bad_input" $(ARGS)

smoke: $(READY) ## build the book at the smoke profile: everything, tiny
	$(PY) -m report book --profile smoke

# Checked before anything is installed.
ifneq ($(filter runs,$(MAKECMDGOALS)),)
ifeq ($(and $(PAPER),$(PROFILE)),)
$(error `make runs` needs both, for example: make runs PAPER=galinkin PROFILE=reduced)
endif
endif
runs: $(READY) ## compute run records: PAPER=... PROFILE=... [ARGS="..."]
	$(PY) -m experiments run --paper $(PAPER) --profile $(PROFILE) $(ARGS)

lab: $(READY) ## open the notebooks in JupyterLab
	PATH="$(CURDIR)/$(VENV)/bin:$$PATH" PYTHONPATH="$(CURDIR)" $(PY) -m jupyterlab notebooks/

lint: $(READY) ## ruff (rules, format), mypy and import-linter
	$(PY) -m ruff check
	$(PY) -m ruff format --check
	$(PY) -m mypy
	$(VENV)/bin/lint-imports

gate: $(READY) ## compare what smoke cells measure with the code of an earlier commit (BASE=...)
	$(PY) -m experiments gate $(BASE)

audit: $(READY) ## list what is installed (_build/audit/*.cdx.json), and ask what is known to be vulnerable
	.ci/audit

compile = $(VENV)/bin/uv --no-config pip compile $(1).in --quiet --universal --python-version 3.11 \
  --fork-strategy fewest --generate-hashes --no-header $(if $(UPGRADE),--upgrade) --output-file $(1).txt

lock: $(READY) ## make requirements*.txt from their .in (UPGRADE=1: newest versions)
	$(call compile,requirements)
	$(call compile,requirements-peers) --no-deps
	$(call compile,requirements-audit)

clean: ## remove what a build makes; results/, data/ and .venv stay
	rm -rf _build book/_build book/chapters book/generated
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . \( -path ./.git -o -path ./$(VENV) -o -path ./data -o -path ./results \) -prune -o \
	  -type d \( -name __pycache__ -o -name .ipynb_checkpoints \) -prune -exec rm -rf {} +

distclean: clean ## clean, and remove .venv
	rm -rf $(VENV)

# .ready is written last.  Without it, what lies in .venv is what an interrupted
# run left: it goes, and the downloads already in uv's cache are used again.
# Bytecode is compiled once, here: where PYTHONDONTWRITEBYTECODE is set, every
# process would otherwise compile PyTorch anew, which takes 10 s.
$(READY): requirements.txt requirements-peers.txt requirements-uv.txt $(REMAKE)
	@$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11))" 2>/dev/null || \
	  { echo "Python >= 3.11 is needed, and '$(PYTHON)' is not: try make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -c "import ensurepip, venv" 2>/dev/null || \
	  { echo "'$(PYTHON)' cannot make virtual environments: install its venv package (Debian: apt install python3-venv)" >&2; exit 1; }
	@test -e $@ -a -z "$(REMAKE)" || rm -rf $(VENV)
	@rm -f $@
	@test -x $(PY) || $(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-uv.txt
	$(VENV)/bin/uv pip sync --python $(PY) --compile-bytecode --require-hashes requirements.txt requirements-peers.txt
	@touch $@

force:

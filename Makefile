# Everything runs in .venv, which is made on first use and kept up to date with
# pyproject.toml and constraints.txt.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c

VENV := .venv
PYTHON := $(VENV)/bin/python
READY := $(VENV)/ready
NEWEST := python3 python3.14 python3.13 python3.12 python3.11
PYTHON3 ?= $(shell for p in $(NEWEST); do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
PYTEST_ARGS ?=
# Processes that share the tests, a thread each.
TEST_JOBS ?= 2

DATA := ../shared/data
ENCODER ?= local-dir:../shared/models/photo-mini
CAPTIONS ?= $(DATA)/coco/captions.jsonl
STORE ?=
DEMO := out/demo
BENCH_PICTURES ?= 1000

.PHONY: demo test test-slow check bench clean

demo: $(READY)
	$(VENV)/bin/captionary demo --out $(DEMO)

test: $(READY)
	OMP_NUM_THREADS=1 $(PYTHON) -m pytest -n $(TEST_JOBS) --dist loadfile $(PYTEST_ARGS)

# pytest ends with 5 when there is nothing to run.
test-slow: $(READY)
	$(PYTHON) -m pytest -m slow $(PYTEST_ARGS) || [ $$? -eq 5 ]

check: $(READY)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy --strict
	$(PYTHON) -m pytest -q tests/test_imports.py

bench: $(READY)
	$(PYTHON) -m benchmarks.noun_extraction $(DATA)/flickr8k/captions.jsonl
	$(PYTHON) -m benchmarks.retrieval
	$(PYTHON) -m benchmarks.scenes
	$(PYTHON) -m benchmarks.one_pass
	$(PYTHON) -m benchmarks.proposers $(DATA)/msrc --encoder $(ENCODER)
	$(PYTHON) -m benchmarks.indexing $(CAPTIONS) --encoder $(ENCODER) --shares 0 --count $(BENCH_PICTURES)
	$(PYTHON) -m benchmarks.indexing $(CAPTIONS) --encoder $(ENCODER) --shares 100 --count 0
	$(PYTHON) -m benchmarks.segmenting $(DATA)/msrc --encoder $(ENCODER) $(if $(STORE),--store $(STORE))
	$(PYTHON) -m benchmarks.serving

clean:
	rm -rf $(VENV) $(DEMO) build dist ./*.egg-info
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(READY): pyproject.toml constraints.txt
	@test -n "$(PYTHON3)" || { echo "captionary needs Python 3.11 or newer; install it, or name it: make PYTHON3=/path/to/python" >&2; exit 1; }
	@$(PYTHON3) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "$(PYTHON3) is older than the Python 3.11 that captionary needs; make PYTHON3=/path/to/python" >&2; exit 1; }
	$(PYTHON3) -m venv $(VENV)
	@echo "installing into $(VENV); this takes some minutes" >&2
	$(PYTHON) -m pip install --quiet --disable-pip-version-check --progress-bar off -c constraints.txt -e '.[dev]'
	touch $(READY)

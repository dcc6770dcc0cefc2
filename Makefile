# Targets for people; .ci/run calls the same ones. Needs Python 3.11 or newer, make, and a package index.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: demo test slow lint types layers install clean

demo: $(INSTALLED)  ## show the model that comes with the library, and tune it before your eyes
	$(BIN)/python scripts/demo.py

# One thread each: as many tests run beside each other as there are cores.
test: $(INSTALLED)  ## the tests that are fast
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto -m "not slow"

slow: $(INSTALLED)  ## the other tests
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto -m slow

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(INSTALLED)
	$(BIN)/mypy

layers: $(INSTALLED)
	$(BIN)/lint-imports

install: $(INSTALLED)

# torch first: an open range of it, as other packages have, could pull in another build.
$(INSTALLED): requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "seqgpt needs Python 3.11 or newer (transformers 5.23 does): install it, or run make PYTHON=/path/to/python"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $$(grep '^torch==' requirements.lock)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache dist runs

# Each target sets up what it needs: Python 3.11 or newer and make are enough.
PYTHON ?= python3
VENV := .venv
ifeq ($(OS),Windows_NT)
BIN := $(VENV)/Scripts
else
BIN := $(VENV)/bin
endif
INSTALLED := $(VENV)/installed

.PHONY: demo test test-fast lint figures clean

# A search over the embedded cells: ends with a front and a report.
demo: $(INSTALLED)
	$(BIN)/unetsearch run quickstart --out studies/quickstart-cells

# Every test, the slow ones too, one at a time on each core. Real images: UNETSEARCH_DATA=folder make test
test: $(INSTALLED)
	$(BIN)/python -m pytest -n auto --dist worksteal --durations=25

test-fast: $(INSTALLED)
	$(BIN)/python -m pytest -n auto --dist worksteal -m "not slow"

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# PNG figures of a study, as in studies/*/: needs a Chrome or Chromium.
STUDY ?= studies/dsb2018_fluo
figures: $(INSTALLED)
	$(BIN)/python -m pip install --quiet --constraint requirements.lock --editable ".[figures]"
	$(BIN)/python studies/figures.py $(STUDY)

$(INSTALLED): pyproject.toml requirements.lock
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint requirements.lock --editable ".[dev]"
	$(BIN)/python -c "open('$(INSTALLED)', 'w').close()"

clean:
	$(PYTHON) -c "import shutil; [shutil.rmtree(path, ignore_errors=True) for path in ('$(VENV)', 'build', 'dist')]"

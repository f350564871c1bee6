# Everything runs in a virtual environment that make creates by itself; `make PYTHON=python3.12 ...` chooses another Python.

PYTHON ?= python3
VENV ?= .venv

BIN := $(VENV)/$(if $(filter Windows_NT,$(OS)),Scripts,bin)

.PHONY: demo test lint benchmark clean

demo: $(VENV)/ready
	$(BIN)/python examples/01_meta.py
	$(BIN)/python examples/02_stability_diagram.py examples/output

test: lint
	$(BIN)/python -m pytest -n 3 --dist loadfile -m "not benchmark"
	$(BIN)/python -m pytest -m benchmark

lint: $(VENV)/ready
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m ruff check .
	$(BIN)/lint-imports
	$(BIN)/python -m mypy

benchmark: $(VENV)/ready
	$(BIN)/python tests/benchmarks/calls.py
	$(BIN)/python tests/benchmarks/objects.py

$(VENV)/ready: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	touch $@

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache

# make demo: set up and run the main job.   make test: set up and run all tests.   make lint: ruff and strict mypy.
# make docs: the pages and the reference, into site/.
PYTHON ?= python3
export PYTHON

.PHONY: setup demo test lint docs clean

setup:
	@tools/setup.sh

demo: setup
	.venv/bin/secateur adapt --demo --out runs/demo

lint: setup
	.venv/bin/ruff check .
	.venv/bin/mypy

test: setup
	.venv/bin/python -m pytest -q

docs: setup
	.venv/bin/mkdocs build --strict

clean:
	rm -rf .venv runs site build dist .pytest_cache .mypy_cache .ruff_cache

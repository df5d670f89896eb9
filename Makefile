# make demo: set up and run the main job.   make test: set up and run all tests.   make check: the quick ones.
# make lint: ruff, its formatter and strict mypy.   make peers: run what we export in other programs.
# make docs: the pages and the reference, into site/.
PYTHON ?= python3
export PYTHON
# Every test that starts a program would compile all of it again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: setup demo test coverage check peers lint docs clean

setup:
	@tools/setup.sh

demo: setup
	.venv/bin/secateur adapt --demo --out runs/demo

lint: setup
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy

# One thread a process, a process a core: threads of several libraries would only wait for each other.
PYTEST = OMP_NUM_THREADS=1 .venv/bin/python -m pytest -q -n auto --dist loadfile --no-loadscope-reorder

test: setup
	$(PYTEST)

coverage: setup
	$(PYTEST) --cov --cov-report=term:skip-covered

# What needs no network, no training and no other program: while one writes code.
check: setup
	.venv/bin/ruff check .
	$(PYTEST) -m "not slow" tests/test_architecture.py tests/base tests/text tests/decode tests/lm tests/features tests/evaluate

# Programs that read what we export, in an environment of their own, and the tests that run them.
peers: setup
	[ -x .venv-peers/bin/python ] || python3 -m venv .venv-peers
	.venv-peers/bin/python -m pip install -q faster-whisper sherpa-onnx pywhispercpp soundfile
	SECATEUR_PEERS=$(CURDIR)/.venv-peers/bin/python .venv/bin/python -m pytest -q tests/export/test_export_gate.py tests/families/test_export_sherpa.py

docs: setup
	.venv/bin/mkdocs build --strict

clean:
	rm -rf .venv runs site build dist .pytest_cache .mypy_cache .ruff_cache

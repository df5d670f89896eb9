"""Where tests find real speech and real weights; what is absent is skipped by name."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from long_files import LONG_FILES, WHOLE_JOBS

# No example has to be quick: on a busy machine a correct one takes seconds.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")

ROOT = Path(__file__).resolve().parent.parent

# Nothing that is imported is garbage: looking for some took a quarter of the time until the first test. Later, collect
# after ten thousand new objects instead of seven hundred.
gc.disable()
gc.set_threshold(10_000, 10, 10)


def pytest_collection_finish() -> None:
    """Tests run with collection of garbage, which leaves alone what was imported; see `imports_are_kept`."""
    gc.freeze()
    gc.enable()


def pytest_sessionfinish() -> None:
    """At its end pytest collects five times, to hear of what is not closed: not among all that was imported."""
    gc.freeze()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order whole files by `LONG_FILES`, which `make check` leaves out; nothing else moves."""
    place = {name: i for i, name in enumerate(LONG_FILES)}
    items.sort(key=lambda item: place.get(item.path.stem, len(LONG_FILES)))
    for item in items:
        if item.path.stem in place:
            item.add_marker(pytest.mark.slow)
        if item.path.stem in WHOLE_JOBS:
            item.add_marker(pytest.mark.timeout(900))


TOGETHER = ("keras/test_keras_*.py", "faults/test_*.py")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """With `--dist loadfile`, all files of `TOGETHER` go to one worker: what they fork from takes long to import."""
    if config.getvalue("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling

    class Scheduling(LoadFileScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            file = str(super()._split_scope(nodeid))
            return next((name for name in TOGETHER if Path(file).match(name)), file)

    return Scheduling(config, log)


def speech_folder() -> Path | None:
    """`SECATEUR_DATA`, or ../shared/data beside the checkout, or None."""
    for place in (os.environ.get("SECATEUR_DATA"), ROOT.parent / "shared" / "data"):
        if place and Path(place).is_dir():
            return Path(place)
    return None


@pytest.fixture(scope="module", autouse=True)
def imports_are_kept() -> None:
    """What has been imported until now, nearly a million objects, is looked at by no collection of this file's tests.

    Every export collects, and took a second for it.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of this test's own: models that a test makes are no entries of the user's."""
    monkeypatch.setenv("SECATEUR_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def forked_runs() -> Iterator[None]:
    """Runs of studies are forks of one process instead of each a Python of its own (which `test_ray` starts)."""
    import forked_runs

    from secateur.study.runs import StudyPaths

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(StudyPaths, "start", forked_runs.start)
        yield


@pytest.fixture(scope="session")
def speech() -> Path:
    """The folder of real speech sets (librispeech-mini, speechocean762, ...)."""
    folder = speech_folder()
    if folder is None:
        pytest.skip("no real speech: set SECATEUR_DATA or put the sets in ../shared/data")
    return folder


@pytest.fixture(scope="session")
def tiny_en() -> Path:
    """A checkpoint folder with OpenAI's real tiny.en, fetched into the cache once."""
    from secateur.base.errors import SecateurError
    from secateur.weights.fetch import fetch

    try:
        return fetch("tiny.en")
    except SecateurError as problem:
        pytest.skip(f"no real weights: {problem}")


@pytest.fixture(scope="session")
def tiny_en_model(tiny_en: Path) -> tuple[Any, Any]:
    """The real tiny.en as (Whisper, Tokenizer); tests copy it before they change it."""
    from secateur.models.checkpoint import load_checkpoint

    return load_checkpoint(tiny_en)

"""Committed studies mean what was run: their files say today what the results recorded then."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from secateur.base.option_fields import walk
from secateur.base.options import to_dict
from secateur.cli import main
from secateur.prune.method import METHODS
from secateur.prune.settings import BY_METHOD, PruneSettings
from secateur.study.record import changed, defaults_of
from secateur.study.settings import arm_settings, read_study
from secateur.study.store import read_store
from secateur.train.settings import TrainSettings

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))
from packed import results

pytest.importorskip("torch")
EXPERIMENTS = Path(__file__).resolve().parents[2] / "experiments"
STUDIES = sorted(EXPERIMENTS.rglob("*.toml"))
PARTS = {"train": TrainSettings, "prune": PruneSettings}


def present(part: str, settings: dict[str, Any], now: dict[str, Any]) -> dict[str, Any]:
    """Settings as they were recorded, under the names of today."""
    new = {old: path for path, one, _ in walk(PARTS[part]) for old in one.metadata.get("was", ())}
    named = {new.get(key, key): value for key, value in settings.items() if (key, value) != ("sensitivity", "")}
    if "map" in named:  # where it lay on that machine
        named["map"] = now["map"] if Path(now["map"]).parts[-2:] == Path(named["map"]).parts[-2:] else named["map"]
    named.pop("auxiliary_saved", None)  # what is kept beside the result is not the recipe
    if named.get("mix"):  # before the setting existed nothing was put inside clips
        named["mix"] = {"paused": 0.0, **named["mix"]}
    if named.get("distillation_on") == "retain":
        named["distillation_on"] = "rehearsal"
    return named


@pytest.mark.parametrize("path", STUDIES, ids=lambda p: p.stem)
def test_a_study_means_what_was_run(path: Path) -> None:
    study = read_study(path)
    folder = results(path.parent / "results" / path.stem)
    if not folder.is_dir():
        return  # read without an error: all that can be asked of it
    runs, _ = read_store(folder)
    compared = 0
    for run in runs:
        if run.arm not in study.arms:
            continue
        settings = arm_settings(study, run.arm, run.seed)
        then, now, usual = run.summary["arm"], to_dict(settings), defaults_of(settings)
        for part in PARTS:
            assert (then[part] is None) == (now[part] is None), (run.arm, part)
            if then[part] is not None:
                recorded = present(part, then[part], now[part])
                if now[part].get("plan") or now[part].get("target"):  # recorded is what the plan came to
                    recorded = {k: v for k, v in recorded.items() if k not in ("remove", "amounts", "plan", "target")}
                if part == "prune":  # what the method does not read means nothing
                    unread = BY_METHOD - METHODS[now[part]["method"]].reads
                    recorded = {k: v for k, v in recorded.items() if k not in unread}
                same_keys = {k: now[part].get(k, v) for k, v in recorded.items()}
                assert not list(changed(recorded, same_keys, usual[part], f"{run.arm}-{run.seed}: {part}"))
                compared += 1
    assert compared


def test_an_unknown_arm_to_compare_with_is_refused_before_anything_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = STUDIES[0]
    words = ["study", str(path), "--data", str(tmp_path), "--out", str(tmp_path / "out"), "--against", "nobody"]
    for more in ([], ["--check"]):
        assert main([*words, *more]) == 2
        assert "unknown arm 'nobody'" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()

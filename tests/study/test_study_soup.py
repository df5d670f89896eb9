"""A study's soup arm: made of finished runs, chosen on dev, tested as the others; what starts from it waits for it."""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("kaldialign")

from small_models import small_whisper  # noqa: E402

from secateur.base.errors import SecateurError  # noqa: E402
from secateur.base.files import read_json  # noqa: E402
from secateur.data.manifest import read_manifest, write_manifest  # noqa: E402
from secateur.models.checkpoint import load_checkpoint, save_checkpoint  # noqa: E402
from secateur.study.one import run_one  # noqa: E402
from secateur.study.outcome import study_outcome  # noqa: E402
from secateur.study.runs import run_study  # noqa: E402
from secateur.study.settings import needed_runs, read_study, run_of  # noqa: E402
from secateur.study.store import collect  # noqa: E402

STUDY = """
model = "{model}"
train = ["train.jsonl"]
dev = ["dev.jsonl"]
seeds = [0, 1]
[tests]
digits = "test.jsonl"
[training]
steps = 2
batch_seconds = 8.0
ema = 0.0
mix = "none"
[prune]
vocabulary = false
text_tokens = "none"
audio_seconds = "none"
[arms.dense]
[arms.pruned]
seeds = [0]
[arms.pruned.prune]
method = "sparse"
remove = 0.3
every = 1
[arms.further]
seeds = [1]
start = "pruned:0"
[arms.further.prune]
method = "sparse"
remove = 0.3
every = 1
[arms.soup]
soup = ["dense:0,1"]
soup_kind = "uniform"
[arms.greedy]
soup = ["dense"]
[arms.after]
start = "soup:0"
seeds = [1]
"""


@pytest.fixture(scope="module")
def place(speech: Path, tmp_path_factory: pytest.TempPathFactory, forked_runs: None) -> Path:
    tmp_path = tmp_path_factory.mktemp("soup")
    clips = [u for u in read_manifest(speech / "free-spoken-digits" / "train.jsonl") if u.duration < 1.1]
    speakers = sorted({u.speaker for u in clips})
    taught = sorted({u.text for u in clips})[:5]
    for name, who in (("train", speakers[:3]), ("dev", speakers[3:4]), ("test", speakers[4:])):
        chosen = [u for u in clips if u.speaker in who and (u.text in taught) == (name != "test")]
        write_manifest(tmp_path / f"{name}.jsonl", chosen[:6])
    save_checkpoint(tmp_path / "model", *small_whisper())
    (tmp_path / "study.toml").write_text(STUDY.format(model=tmp_path / "model"))
    return tmp_path


def test_soups_are_made_of_runs_and_are_a_start(place: Path) -> None:
    out = place / "out"
    study = read_study(place / "study.toml")
    for name, seed in [("dense", 0), ("dense", 1), ("pruned", 0), ("further", 1), ("greedy", 0)]:
        run_one(study, name, seed, place, out, "cpu")
    # The scheduler finds those done and runs the soup before what starts from it.
    assert run_study(place / "study.toml", place, out, only=["dense", "after", "soup"]) == []
    soup, runs = (out / "soup-0"), [out / f"dense-{seed}" for seed in (0, 1)]
    states = [load_checkpoint(one)[0].state_dict() for one in (soup, *runs)]
    for name in ("encoder.layers.1.attention.query.weight", "decoder.token_embedding.weight"):
        torch.testing.assert_close(states[0][name], (states[1][name] + states[2][name]) / 2, atol=2e-3, rtol=2e-3)
    summary = read_json(soup / "summary.json")
    assert summary["steps"] == 0 and summary["soup"]["of"] == [str(one) for one in runs]
    assert summary["flops"] == pytest.approx(sum(read_json(one / "summary.json")["flops"] for one in runs))
    tried = read_json(out / "greedy-0" / "summary.json")["soup"]["tried"]
    assert len(tried) == 3 and {len(one["of"]) for one in tried} == {1, 2}
    assert (out / "after-1" / "summary.json").exists() and (out / "further-1" / "summary.json").exists()
    assert not (out / "soup-1").exists()
    collect(out, place / "store")
    arms = {a.arm: a for a in study_outcome(place / "study.toml", place / "store").arms}
    assert arms["soup"].seeds == (0,) and arms["soup"].sets["digits"].against is not None


def test_what_a_run_needs(place: Path) -> None:
    study = read_study(place / "study.toml")
    assert needed_runs(study, "soup", 0) == [("dense", 0), ("dense", 1)]
    assert needed_runs(study, "greedy", 0) == [("dense", 0), ("dense", 1)]
    assert needed_runs(study, "further", 1) == [("pruned", 0)]
    assert needed_runs(study, "dense", 1) == []
    with pytest.raises(SecateurError, match="dense:0,1,2"):
        run_of("dense:first")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('soup = ["dence:0"]', "no arm 'dence' for a soup"),
        ('soup = ["dense:0"]\nstart = "dense"', "leave out start"),
        ('start = "dense:0,1"', "one seed is named"),
        ('soup = ["odd"]', "wait for each other"),
    ],
)
def test_a_wrong_soup_is_named_before_anything_runs(place: Path, line: str, message: str) -> None:
    path = place / "odd.toml"
    path.write_text((place / "study.toml").read_text() + f"[arms.odd]\n{line}\n")
    with pytest.raises(SecateurError, match=message):
        read_study(path)

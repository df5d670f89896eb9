"""A study of models of `transformers`: dense and pruned arms of each, by the names of their folders."""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("kaldialign")
from small_hf import hf_folder  # noqa: E402
from small_parakeet import parakeet_folder  # noqa: E402

from secateur.data.manifest import read_manifest, write_manifest  # noqa: E402
from secateur.models.checkpoint import load_checkpoint  # noqa: E402
from secateur.study.one import run_one  # noqa: E402
from secateur.study.outcome import study_outcome  # noqa: E402
from secateur.study.settings import read_study  # noqa: E402
from secateur.study.store import collect  # noqa: E402

STUDY = """
name = "small"
model = "{model}"
train = ["train.jsonl"]
seeds = [0]
dev = ["dev.jsonl"]
[tests]
read = "test.jsonl"
[training]
steps = 3
batch_seconds = 12.0
[prune]
end = 0.9
begin = 0.0
every = 1
[arms.dense]
[arms.sparse]
targets = [0.5]
[arms.sparse.prune]
method = "sparse"
[arms.units]
targets = [0.3]
[arms.units.prune]
criterion = "taylor"
kinds = ["head", "ffn", "conv", "layer"]
"""


@pytest.mark.parametrize("kind", ["wavlm", "parakeet"])
def test_dense_and_pruned_arms(kind: str, speech: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECATEUR_CACHE", str(tmp_path / "cache"))
    torch.set_num_threads(1)
    (parakeet_folder if kind == "parakeet" else hf_folder)(kind, tmp_path / "hf", num_hidden_layers=2)
    for split in ("train", "dev", "test"):
        clips = [u for u in read_manifest(speech / "speechocean762" / f"{split}.jsonl") if 1.0 < u.duration < 4]
        write_manifest(tmp_path / f"{split}.jsonl", clips[:4])
    (tmp_path / "study.toml").write_text(STUDY.format(model=tmp_path / "hf"))
    study, out = read_study(tmp_path / "study.toml"), tmp_path / "out"
    for arm in ("dense", "sparse-50", "units-30"):
        run_one(study, arm, 0, tmp_path, out, "cpu")
    collect(out, out / "results")
    arms = {arm.arm: arm for arm in study_outcome(tmp_path / "study.toml", out / "results").arms}
    assert arms["units-30"].removed >= 0.29 and arms["units-30"].control == "dense"
    assert arms["sparse-50"].removed_weights == pytest.approx(0.5, abs=0.02)
    dense, small = (load_checkpoint(out / f"{name}-0")[0] for name in ("dense", "units-30"))
    assert sum(p.numel() for p in small.parameters()) <= 0.71 * sum(p.numel() for p in dense.parameters())

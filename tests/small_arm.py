"""A pruned arm on one speaker's digits: the data, the settings, the commands and what every family's must come to."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from secateur.cli import main
from secateur.data.manifest import read_manifest, write_manifest
from secateur.models.checkpoint import load_checkpoint

# Few clips, learnt by heart within seconds from random weights.
RUN = """
same_speakers = true
[training]
steps = {steps}
batch_seconds = {batch_seconds}
learning_rate = 4e-3
ema = 0.9
spec_augment = "none"
augment = "none"
validate_every = 100.0
{training}
[prune]
remove = {remove}
kinds = ["head", "ffn", "conv"]
every = 10
begin = 0.5
end = 0.7
{prune}
"""


def answer(capsys: pytest.CaptureFixture[str], *words: object) -> Any:
    """What a command prints as JSON."""
    capsys.readouterr()
    assert main([*map(str, words), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def one_speakers_digits(speech: Path, folder: Path, every: int, shortest: float = 0.2, longest: float = 9.0) -> None:
    """`learn.jsonl` with every so many of one speaker's clips, `dev.jsonl` with every second of those, `test.jsonl`
    with other texts than it learns, as the command wants them."""
    clips = [u for u in read_manifest(speech / "free-spoken-digits" / "train.jsonl") if shortest < u.duration < longest]
    clips = [u for u in clips if u.speaker == clips[0].speaker]
    write_manifest(folder / "learn.jsonl", clips[::every])
    write_manifest(folder / "dev.jsonl", clips[:: 2 * every])
    others = [u for u in read_manifest(speech / "speechocean762" / "test.jsonl") if u.duration < 3]
    write_manifest(folder / "test.jsonl", others[:2])


@dataclass(frozen=True)
class Arm:
    """`secateur prune` in a folder with `learn.jsonl`, `dev.jsonl` and `test.jsonl`."""

    folder: Path
    capsys: pytest.CaptureFixture[str]

    @property
    def checkpoint(self) -> Path:
        return self.folder / "arm"

    @property
    def onnx(self) -> Path:
        return self.folder / "onnx"

    @property
    def first(self) -> Any:
        """A clip that it has learnt."""
        return read_manifest(self.folder / "dev.jsonl")[0]

    def run(
        self, model: Path, *, steps: int, remove: float, batch_seconds: float = 8.0, training: str = "", prune: str = ""
    ) -> Any:
        """Tune and prune `model`; the network that comes out."""
        text = RUN.format(steps=steps, batch_seconds=batch_seconds, remove=remove, training=training, prune=prune)
        (self.folder / "run.toml").write_text(text)
        manifests = [word for n in ("train", "dev", "test") for word in (f"--{n}", self.folder / f"{n}.jsonl")]
        manifests[1] = self.folder / "learn.jsonl"
        config = ["--config", self.folder / "run.toml", "--model", model, "--device", "cpu"]
        answer(self.capsys, "prune", *config, *manifests, "--out", self.checkpoint)
        return load_checkpoint(self.checkpoint)[0]

    def rate(self, model: Path, *more: str) -> float:
        """The error rate of a model on what was learnt; one of ten digits at chance is 0.9."""
        return float(answer(self.capsys, "evaluate", model, self.folder / "dev.jsonl", *more)["rate"])

    def exported(self, unit: str) -> None:
        """Write ONNX: every frame (or step) is what the network says."""
        made = answer(
            self.capsys, "export", self.checkpoint, "--out", self.onnx, "--precision", "fp32", "--clips",
            self.first.audio, "--dev", self.folder / "dev.jsonl",
        )  # fmt: skip
        parity = made["parity"]
        assert parity[f"{unit}_equal"] == parity[unit] and parity["max_difference"] < 1e-4

    def sites(self, *kinds: str) -> list[str]:
        """The kind of every site of a sensitivity map."""
        words = ["--data", self.folder / "dev.jsonl", "--out", self.folder / "map", "--device", "cpu"]
        answer(self.capsys, "sensitivity", self.checkpoint, *words, "--sites", ",".join(kinds))
        return [site["kind"] for site in json.loads((self.folder / "map" / "map.json").read_text())["sites"]]

    def text(self) -> str:
        """What the checkpoint and its export both write of `first`."""
        models = (self.checkpoint, self.onnx)
        ours = [answer(self.capsys, "transcribe", self.first.audio, "--model", m)["files"][0]["text"] for m in models]
        assert ours[0] == ours[1]
        return str(ours[0])


def values(model: Any) -> int:
    """How many parameters a network has."""
    return sum(p.numel() for p in model.parameters())

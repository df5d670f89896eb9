"""The loop learns, repeats itself exactly, survives kill -9, and keeps what a pruner removed removed."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import forked_runs  # noqa: E402
from small_models import inputs, small_whisper  # noqa: E402
from train_small import run_small  # noqa: E402

from secateur.base.errors import SecateurError  # noqa: E402
from secateur.data.bank import buckets  # noqa: E402
from secateur.data.manifest import Utterance  # noqa: E402
from secateur.prune.places import unit_sums  # noqa: E402
from secateur.train.loop import frozen_copy  # noqa: E402
from secateur.train.loss import cross_entropy, distillation, mean_absolute  # noqa: E402
from secateur.train.stream import Mix, batch_stream, epoch_steps  # noqa: E402
from secateur.train.targets import IGNORE, bpe_dropout_row, encode_targets, token_batch  # noqa: E402

SCRIPT = Path(__file__).resolve().parent / "train_small.py"


def weights(model: Any) -> dict[str, Any]:
    return {name: value.clone() for name, value in model.state_dict().items()}


def test_the_loss_goes_down_and_the_same_seed_gives_the_same_weights() -> None:
    first, _, log = run_small(None, prune=None)
    again, _, _ = run_small(None, prune=None)
    other, _, _ = run_small(None, prune=None, seed=1)
    assert log[-1]["loss"] < 0.6 * log[0]["loss"]
    assert all(torch.equal(a, b) for a, b in zip(weights(first).values(), weights(again).values(), strict=True))
    assert any(not torch.equal(a, b) for a, b in zip(weights(first).values(), weights(other).values(), strict=True))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Weights and log of a run that nobody disturbed."""
    folder = tmp_path_factory.mktemp("whole")
    model, _, _ = run_small(folder)
    return weights(model), log_of(folder)


def log_of(folder: Path) -> list[dict[str, Any]]:
    """metrics.jsonl without timing."""
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    return [{k: v for k, v in json.loads(line).items() if "second" not in k} for line in lines]


@pytest.mark.parametrize("strike", [0, 1, 2])
def test_a_killed_run_ends_as_an_undisturbed_one(
    strike: int, tmp_path: Path, whole: tuple[dict[str, Any], list[dict[str, Any]]]
) -> None:
    victim = forked_runs.begun([str(tmp_path), "0.05"], tmp_path / "log.txt", SCRIPT)
    state = tmp_path / "state.safetensors"
    while not state.exists() and victim.poll() is None:
        time.sleep(0.01)
    time.sleep(0.11 * strike)
    os.kill(victim.process, signal.SIGKILL)
    assert victim.wait() == -signal.SIGKILL
    model, _, log = run_small(tmp_path)
    assert [entry["step"] for entry in log] == [4, 8, 12, 16, 20, 24]
    assert all(torch.equal(whole[0][name], value) for name, value in weights(model).items())
    assert log_of(tmp_path) == whole[1]


def test_what_was_pruned_stays_gone_and_shrinking_changes_nothing() -> None:
    model, pruner, log = run_small(None, dropout=0.0)
    assert [entry["kept"] for entry in log] == sorted((entry["kept"] for entry in log), reverse=True)
    assert log[-1]["kept"] <= 0.85
    for group in pruner.groups:
        if group.name in pruner.keep and group.kind == "ffn":
            sizes = unit_sums(group, {n: p.detach().abs() for n, p in model.named_parameters()})
            gone = sorted(set(range(group.units)) - set(pruner.keep[group.name]))
            assert (sizes[gone] == 0).all()
            assert (sizes[pruner.keep[group.name]] > 0).all()
    mel, frames, tokens = inputs(model)
    with torch.no_grad():
        masked, small = model(mel, frames, tokens), pruner.shrunk().eval()(mel, frames, tokens)
    torch.testing.assert_close(small, masked, rtol=1e-4, atol=1e-5)


def test_blending_nothing_in_gives_the_start_back() -> None:
    start, _ = small_whisper()
    model, _, _ = run_small(None, prune=None, interpolation=0.0, select="last", steps=8)
    for (name, value), begun in zip(weights(model).items(), weights(start).values(), strict=True):
        torch.testing.assert_close(value, begun, msg=name)


def test_l1_makes_weights_small() -> None:
    plain, _, _ = run_small(None, prune=None, select="last")
    sparse, _, _ = run_small(None, prune=None, select="last", l1=300.0)
    assert mean_absolute(sparse.parameters()) < 0.95 * mean_absolute(plain.parameters())


def test_a_teacher_that_is_the_student_has_nothing_to_say() -> None:
    model, _ = small_whisper()
    mel, frames, tokens = inputs(model)
    labels = tokens.clone()
    labels[:, :2] = IGNORE
    logits = model(mel, frames, tokens)
    same = distillation(logits, frozen_copy(model)(mel, frames, tokens), labels).detach()
    assert float(same) == pytest.approx(0, abs=1e-6)
    other, _ = small_whisper(seed=5)
    teacher_logits = other(mel, frames, tokens)
    assert float(distillation(logits, teacher_logits, labels).detach()) > 0.01
    only_first = torch.tensor([1.0, 0.0, 0.0])
    by_hand = distillation(logits[:1], teacher_logits[:1], labels[:1]) / 3
    torch.testing.assert_close(distillation(logits, teacher_logits, labels, weights=only_first), by_hand)


def test_cross_entropy_counts_only_what_is_asked_for() -> None:
    logits, labels = torch.randn(2, 3, 5), torch.tensor([[1, 2, IGNORE], [3, IGNORE, IGNORE]])
    rows = torch.log_softmax(logits, -1)
    by_hand = -(rows[0, 0, 1] + rows[0, 1, 2] + rows[1, 0, 3]) / 3
    torch.testing.assert_close(cross_entropy(logits, labels), by_hand)


def test_labels_are_the_text_and_the_end() -> None:
    model, tokenizer = small_whisper()
    tokens = model.config.tokens
    utterances = [
        Utterance(id="a", audio=Path("a"), duration=1.0, text="the cat"),
        Utterance("b", Path("b"), 1.0, "mat"),
    ]
    rows = encode_targets(utterances, tokenizer, tokens, 32)
    batch = token_batch(rows, len(tokens.prompt()), tokens.end, torch.device("cpu"))
    for row, utterance, labels in zip(rows, utterances, batch.labels.tolist(), strict=True):
        asked = [label for label in labels if label != IGNORE]
        assert asked[-1] == tokens.end
        assert tokenizer.decode(asked).strip() == utterance.text
        assert row[:2] == tokens.prompt()
    with pytest.raises(SecateurError, match=r"^a: its transcript takes"):
        encode_targets(utterances, tokenizer, tokens, 3)


def test_taken_apart_tokens_still_spell_the_text() -> None:
    _, tokenizer = small_whisper()
    row = tokenizer.encode("the cat sat on the mat")
    parents = tokenizer.parents()
    lengths = set()
    for seed in range(20):
        pieces = bpe_dropout_row(row, parents, 0.5, np.random.default_rng(seed))
        assert tokenizer.decode(pieces).strip() == "the cat sat on the mat"
        lengths.add(len(pieces))
    assert bpe_dropout_row(row, parents, 0.0, np.random.default_rng(0)) == row
    assert max(lengths) > len(row)


def test_batches_hold_every_clip_once_within_the_limit() -> None:
    random = np.random.default_rng(3)
    seconds = random.uniform(0.5, 15, 200).tolist()
    for seed in (None, 1, 2):
        batches = buckets(seconds, 40.0, seed)
        assert sorted(row for batch in batches for row in batch) == list(range(200))
        assert all(max(seconds[r] for r in batch) * len(batch) <= 40.0 or len(batch) == 1 for batch in batches)
    assert buckets(seconds, 40.0, 1) == buckets(seconds, 40.0, 1) != buckets(seconds, 40.0, 2)


def test_the_stream_can_be_entered_anywhere_and_keeps_the_share() -> None:
    mix = Mix(tuple([2.0] * 30), tuple([5.0] * 100), share=0.5)
    stream = batch_stream(mix, 20.0, seed=4)
    first = [next(stream) for _ in range(25)]
    sorted_first = batch_stream(mix, 20.0, seed=4, sortagrad=1)
    longest = [max(map(mix.seconds, next(sorted_first))) for _ in range(epoch_steps(mix, 20.0, 4))]
    assert longest == sorted(longest) and longest[0] < longest[-1]
    later = batch_stream(mix, 20.0, seed=4, skip=10)
    assert first[10:] == [next(later) for _ in range(15)]
    epoch = mix.epoch(4, 0)
    assert sorted(r for r in epoch if r < 30) == list(range(30))
    retained = 5.0 * sum(r >= 30 for r in epoch)
    assert 60.0 <= retained <= 65.0
    assert mix.epoch(4, 0) != mix.epoch(4, 1)
    assert epoch_steps(mix, 20.0, 4) == len(buckets([2.0] * 30 + [5.0] * int(retained / 5), 20.0, 4 * 1009))

"""The core promise of surgery: the masked model and the shrunk model compute the same."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from small_models import inputs, random_units, small_whisper

from secateur.base.errors import SecateurError
from secateur.families.whisper.cost import count_parameters
from secateur.families.whisper.model import Whisper
from secateur.models.checkpoint import load_checkpoint, save_checkpoint
from secateur.prune.shrink import mask, shrink
from secateur.prune.vocabulary import choose_rows, context_plan, reduced_tokenizer

MASKED_KINDS = ["layer", "head", "query_key", "value", "ffn", "conv"]


def plan_for(model: Whisper, kinds: list[str], share: float, seed: int) -> dict[str, list[int]]:
    return {g.name: random_units(g, share, seed + i) for i, g in enumerate(model.groups()) if g.kind in kinds}


@torch.no_grad()
def logits(model: Whisper, batch: tuple[torch.Tensor, torch.Tensor, torch.Tensor]) -> torch.Tensor:
    mel, frames, tokens = batch
    if model.config.front_end.kept_bins is not None:
        mel = mel[..., list(model.config.front_end.kept_bins)]
    return model(mel, frames, tokens)


@torch.no_grad()
def stepped(model: Whisper, batch: tuple[torch.Tensor, torch.Tensor, torch.Tensor]) -> torch.Tensor:
    """Logits after each token, one token at a time through the KV cache, after a first step of two."""
    mel, frames, tokens = batch
    cache = model.encode(mel, frames)
    rows = [model.step(tokens[:, :2], cache)]
    rows += [model.step(tokens[:, i : i + 1], cache) for i in range(2, tokens.shape[1])]
    return torch.stack(rows, 1)


@pytest.mark.parametrize("kind", MASKED_KINDS)
@pytest.mark.parametrize("share", [0.8, 0.5])
def test_masked_equals_shrunk(kind: str, share: float, tmp_path: Path) -> None:
    model, tokenizer = small_whisper()
    batch = inputs(model)
    keep = plan_for(model, [kind], share, seed=7)
    whole = logits(model, batch)
    small = shrink(model, keep)
    masked = copy.deepcopy(model)
    mask(masked, keep)
    assert (logits(masked, batch) - whole).abs().max() > 1e-3  # the plan did change something
    torch.testing.assert_close(logits(small, batch), logits(masked, batch), rtol=1e-4, atol=1e-5)
    save_checkpoint(tmp_path / "model", small, tokenizer)
    again, _ = load_checkpoint(tmp_path / "model")
    torch.testing.assert_close(logits(again, batch), logits(masked, batch), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(stepped(again, batch), logits(masked, batch)[:, 1:], rtol=1e-4, atol=1e-5)
    assert sum(t.numel() for t in again.state_dict().values()) == count_parameters(again.config)["total"]
    assert count_parameters(again.config)["total"] < count_parameters(model.config)["total"]


@pytest.mark.parametrize("seed", range(4))
def test_all_kinds_together(seed: int) -> None:
    model, _ = small_whisper(seed)
    batch = inputs(model)
    keep = plan_for(model, MASKED_KINDS, 0.6, seed=seed)
    masked = copy.deepcopy(model)
    mask(masked, keep)
    small = shrink(model, keep)
    torch.testing.assert_close(logits(small, batch), logits(masked, batch), rtol=1e-4, atol=1e-5)
    # Shrinking again with everything kept changes nothing.
    same = shrink(small, {g.name: list(range(g.units)) for g in small.groups()})
    assert same.config == small.config
    assert torch.equal(logits(same, batch), logits(small, batch))


def test_a_row_of_a_padded_batch_equals_the_clip_alone() -> None:
    model, _ = small_whisper()
    small = shrink(model, plan_for(model, MASKED_KINDS, 0.6, seed=3))
    mel, frames, tokens = inputs(model)
    together = logits(small, (mel, frames, tokens))
    for row, count in enumerate(frames.tolist()):
        with torch.no_grad():
            alone = small(mel[row : row + 1, :count], None, tokens[row : row + 1])
        torch.testing.assert_close(together[row : row + 1], alone, rtol=1e-4, atol=1e-5)


def test_mel_bins_go_with_the_first_convolution() -> None:
    model, _ = small_whisper()
    group = next(g for g in model.groups() if g.kind == "mel")
    keep = {group.name: random_units(group, 0.7, 5)}
    masked = copy.deepcopy(model)
    mask(masked, keep)
    small = shrink(model, keep)
    assert small.config.front_end.kept_bins == tuple(keep[group.name])
    assert small.encoder.conv1.in_channels == len(keep[group.name])
    batch = inputs(model)
    torch.testing.assert_close(logits(small, batch), logits(masked, batch), rtol=1e-4, atol=1e-5)
    # A second cut counts in the first one's bins.
    smaller = shrink(small, {group.name: list(range(0, len(keep[group.name]), 2))})
    assert smaller.config.front_end.kept_bins == tuple(keep[group.name][::2])


def test_vocabulary_rows_are_impossible_when_masked_and_gone_when_shrunk() -> None:
    model, tokenizer = small_whisper()
    plan = choose_rows(model.config, tokenizer, ["the cat sat"], frequent=0)
    rows = plan["vocabulary"]
    assert len(rows) < model.config.vocabulary
    small = shrink(model, plan)
    smaller_tokenizer = reduced_tokenizer(tokenizer, rows, small.config)
    ids = smaller_tokenizer.encode("the cat sat")
    old_ids = tokenizer.encode("the cat sat")
    assert [rows[i] for i in ids] == old_ids
    assert smaller_tokenizer.decode(smaller_tokenizer.encode("zebra")).strip() == "zebra"  # spelled in bytes
    mel, frames, _ = inputs(model)
    masked = copy.deepcopy(model)
    mask(masked, plan)
    old = logits(masked, (mel, frames, torch.tensor([old_ids] * 3)))
    new = logits(small, (mel, frames, torch.tensor([ids] * 3)))
    torch.testing.assert_close(new, old[..., rows], rtol=1e-4, atol=1e-5)
    gone = sorted(set(range(model.config.vocabulary)) - set(rows))
    assert torch.isinf(old[..., gone]).all()
    tokens = small.config.tokens
    assert rows[tokens.start] == model.config.tokens.start
    assert rows[tokens.end] == model.config.tokens.end
    assert tokens.timestamps is None


def test_timestamps_that_stay_are_those_within_the_audio_context() -> None:
    model, tokenizer = small_whisper()
    config = shrink(model, context_plan(model.config, 0.04, None)).config
    rows = choose_rows(config, tokenizer, ["the cat"], frequent=0, timestamps=True)["vocabulary"]
    first = model.config.tokens.timestamps
    assert first is not None
    assert [r - first for r in rows if r >= first] == [0, 1, 2]  # 0, 20 and 40 ms


def test_contexts_are_cut_and_shorter_clips_do_not_notice() -> None:
    model, _ = small_whisper()
    small = shrink(model, context_plan(model.config, 0.9, 8))
    assert (small.config.audio_context, small.config.text_context) == (45, 8)
    assert small.config.max_seconds == pytest.approx(0.9)
    batch = inputs(model)
    assert torch.equal(logits(small, batch), logits(model, batch))
    with pytest.raises(ValueError, match="audio context of 45"):
        small.encode(torch.zeros(1, 92, 80))


@pytest.mark.parametrize(
    ("keep", "message"),
    [
        ({"encoder.layers.0.fnn": [0]}, "did you mean 'encoder.layers.0.ffn'"),
        ({"encoder.layers.0.ffn": []}, "at least one unit must stay"),
        ({"encoder.layers.0.ffn": [40]}, "units go from 0 to 39"),
        ({"encoder.layers.0.attention.query_key": [0, 1, 8, 16]}, "same number of dimensions"),
    ],
)
def test_a_plan_that_makes_no_sense_is_refused(keep: dict[str, list[int]], message: str) -> None:
    model, _ = small_whisper()
    with pytest.raises(SecateurError, match=message):
        shrink(model, keep)


def test_contexts_have_no_mask() -> None:
    model, _ = small_whisper()
    with pytest.raises(SecateurError, match="only shrink removes it"):
        mask(model, {"encoder.positions": [0, 1]})

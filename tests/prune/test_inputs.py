"""Inputs go physically: bins with their filters, rate, frames, derivatives; masked is shrunk from the audio on."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from small_ctc import CONFIGS, small_ctc
from small_models import random_units, small_whisper
from soft_runs import run_soft

from secateur.base.errors import SecateurError
from secateur.families.ctc.config import CtcConfig, RecurrentWidths
from secateur.families.ctc.model import CtcModel
from secateur.features.front_end import extractor, front_end
from secateur.models.checkpoint import load_checkpoint, save_checkpoint
from secateur.prune.inputs import at_frame_shift, at_sample_rate, cut_inputs, with_deltas
from secateur.prune.method import make_method
from secateur.prune.settings import PruneSettings
from secateur.prune.shrink import mask, shrink


def sounds() -> tuple[torch.Tensor, torch.Tensor]:
    """A padded batch of noise whose loudest bin changes with time: audio (3, 14400) at 16 kHz, lengths."""
    random = torch.Generator().manual_seed(0)
    audio = 1e-5 * torch.randn(3, 14400, generator=random)
    time = torch.arange(14400) / 16000
    for row, hz in enumerate((300, 900, 2400)):
        audio[row] += torch.sin(2 * torch.pi * hz * time * (1 + time)) * torch.linspace(0, 0.6, 14400) ** 3
    lengths = torch.tensor([14400, 9120, 3200])
    return audio * (torch.arange(14400) < lengths[:, None]), lengths


@torch.no_grad()
def logits(model: torch.nn.Module, audio: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """Teacher-forced logits (3, 7, vocabulary) from the audio on."""
    tokens = torch.arange(21).view(3, 7)
    features, frames = extractor(model.config.front_end)(audio, lengths, input_mask=model.input_mask)
    return model(features, frames, tokens)


@pytest.mark.parametrize("share", [0.7, 0.4])
def test_masked_bins_equal_shrunk_bins_from_the_audio_on(share: float, tmp_path: Path) -> None:
    model, tokenizer = small_whisper()
    group = next(g for g in model.groups() if g.kind == "mel")
    keep = {group.name: random_units(group, share, 5)}
    masked = copy.deepcopy(model)
    mask(masked, keep)
    small = shrink(model, keep)
    whole, found = logits(masked, *sounds()), logits(small, *sounds())
    torch.testing.assert_close(found, whole, rtol=1e-4, atol=1e-4)
    assert (logits(model, *sounds()) - whole).abs().max() > 1e-2
    # Without the mask the loudest of all bins, gone ones too, would set the floor.
    masked.input_mask = None
    assert (logits(masked, *sounds()) - whole).abs().max() > 1e-3
    save_checkpoint(tmp_path / "model", small, tokenizer)
    again, _ = load_checkpoint(tmp_path / "model")
    torch.testing.assert_close(logits(again, *sounds()), whole, rtol=1e-4, atol=1e-4)


def test_bins_are_ranked_masked_and_removed_while_training() -> None:
    settings = PruneSettings(remove=None, amounts={"encoder.mel": 0.4}, every=2, begin=0.1, end=0.6)
    model, method, log = run_soft(settings)
    small = method.shrunk()
    assert small.config.front_end.inputs == 48 and small.encoder.conv1.in_channels == 48 and small.input_mask is None
    assert model.input_mask is not None and int(model.input_mask.sum()) == 48 and log[-1]["loss"] < log[0]["loss"]
    torch.testing.assert_close(logits(small, *sounds()), logits(model.eval(), *sounds()), rtol=1e-4, atol=1e-4)


def test_gates_choose_bins_alone_and_beside_units() -> None:
    settings = PruneSettings(method="gates", remove=None, amounts={"encoder.mel": 0.5}, begin=0.1, end=0.6)
    _, method, _ = run_soft(settings)
    kept = method.shrunk().config.front_end.kept_bins
    assert len(kept) == 40 and kept != tuple(range(40))
    settings = PruneSettings(method="gates", remove=0.3, kinds=("mel", "ffn", "head"), begin=0.1, end=0.6)
    _, method, _ = run_soft(settings)
    small = method.shrunk().config
    assert small.front_end.inputs < 80 and min(e.ffn for e in small.encoder) < 28


def test_no_wildcard_means_inputs() -> None:
    model, _ = small_whisper()
    method = make_method(model, PruneSettings(remove=None, amounts={"encoder.*": 0.2}), 1.0)
    assert "encoder.mel" not in method.example and "encoder.conv" in method.example
    both = {"encoder.*": 0.2, "mel": 0.5}
    assert len(make_method(model, PruneSettings(remove=None, amounts=both), 1.0).example["encoder.mel"]) == 40


def test_half_the_sample_rate_is_the_upper_bins_masked() -> None:
    model, _ = small_whisper()
    small = at_sample_rate(model, 8000)
    assert small.encoder.conv1.in_channels == small.config.front_end.inputs == 61
    audio, lengths = sounds()
    spectrum = torch.fft.rfft(audio)
    spectrum[:, 14400 // 4 :] = 0  # all that half the rate can hold
    limited = torch.fft.irfft(spectrum, n=14400)
    masked = copy.deepcopy(model)
    mask(masked, {"encoder.mel": list(range(61))})
    whole = logits(masked, limited, lengths)
    found = logits(small, limited[:, ::2], lengths // 2)
    assert (found - whole).abs().max() < 0.05 * whole.std()


def test_frames_twice_as_far_apart_hear_the_same_at_their_times() -> None:
    model, _ = small_whisper()
    small = at_frame_shift(model, 20)
    assert small.config.front_end.hop == 320 and small.config.max_seconds == model.config.max_seconds
    assert small.config.audio_context == 30
    assert torch.equal(small.encoder.positions, model.encoder.positions[::2])
    coarse = torch.randn(1, 20, 80, generator=torch.Generator().manual_seed(0))
    fine = torch.nn.functional.interpolate(coarse.transpose(1, 2), 39, mode="linear", align_corners=True)
    with torch.no_grad():
        whole = model.encoder.conv1(fine)[..., ::2]
        found = small.encoder.conv1(coarse.transpose(1, 2))
    torch.testing.assert_close(found[..., 1:-1], whole[..., 1:-1], rtol=1e-4, atol=1e-5)


def test_frames_half_as_far_again_read_positions_between_the_old_ones() -> None:
    model, _ = small_whisper()
    small = at_frame_shift(model, 15)
    between = (model.encoder.positions[1] + model.encoder.positions[2]) / 2
    torch.testing.assert_close(small.encoder.positions[1], between, rtol=1e-6, atol=1e-6)
    assert small.config.audio_context == 40 and logits(small, *sounds()).isfinite().all()


@pytest.mark.parametrize("kind", ["inception", "conformer", "everything"])
def test_networks_with_ctc_follow(kind: str) -> None:
    model = small_ctc(kind)
    small = at_frame_shift(model, 20)
    audio, lengths = sounds()
    found, frames = small(*extractor(small.config.front_end)(audio, lengths))
    _, before = model(*extractor(model.config.front_end)(audio, lengths))
    assert found.isfinite().all() and (frames - before / 2).abs().max() <= 1
    if kind == "conformer":
        old, new = (m.conformer.layers[0].attention.distance for m in (model, small))
        middle = old.shape[1] // 2
        torch.testing.assert_close(new[:, middle + 1], old[:, middle + 2])
        torch.testing.assert_close(new[:, -1], old[:, -1])


def test_a_cepstrum_loses_its_derivatives_and_its_rate() -> None:
    torch.manual_seed(0)
    mfcc = front_end("mfcc", deltas=2, normalise="mean_variance")
    model = CtcModel(CtcConfig(7, mfcc, recurrent=RecurrentWidths("gru", CONFIGS["gru"].recurrent.layers))).eval()
    small = cut_inputs(model, PruneSettings(deltas=1, sample_rate=8000, frame_shift_ms=12.5))
    f = small.config.front_end
    assert (f.inputs, f.deltas, f.kept, f.sample_rate, f.hop) == (26, 1, None, 8000, 100)
    masked = copy.deepcopy(model)
    mask(masked, {"input": list(range(26))})
    audio, lengths = sounds()
    whole, _ = masked(*extractor(mfcc)(audio, lengths))
    found, _ = with_deltas(model, 1)(*extractor(with_deltas(model, 1).config.front_end)(audio, lengths))
    torch.testing.assert_close(found, whole, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (PruneSettings(sample_rate=44100), "44100 Hz is not below the model's 16000"),
        (PruneSettings(frame_shift_ms=8), "below the model's 10"),
        (PruneSettings(deltas=1), "derivatives up to order 0, not 1"),
    ],
)
def test_what_a_model_cannot_hear_with_is_refused(settings: PruneSettings, message: str) -> None:
    model, _ = small_whisper()
    with pytest.raises(SecateurError, match=message):
        cut_inputs(model, settings)
    assert cut_inputs(model, PruneSettings()) is model


def test_a_picture_keeps_its_lines() -> None:
    with pytest.raises(SecateurError, match="reads its features as a picture"):
        at_sample_rate(small_ctc("subsampled gru"), 8000)

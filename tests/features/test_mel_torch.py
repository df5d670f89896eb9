"""Batched features in torch: every row is what numpy gives for the clip alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from speech_clips import clips

torch = pytest.importorskip("torch")

from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode  # noqa: E402

from secateur.features.front_end import FrontEnd  # noqa: E402
from secateur.features.whisper import log_mel  # noqa: E402
from secateur.features.whisper_torch import LogMel  # noqa: E402


@pytest.fixture(scope="module")
def rows(speech: Path) -> list[np.ndarray]:
    found = [audio for name in ("librispeech-mini", "speechocean762") for audio, _ in clips(speech, name, 3)]
    start = found[0][16000:]
    return [*found, *(start[:n] for n in (0, 1, 159, 160, 161, 180, 200, 201, 319, 320, 400, 401))]


def batch(rows: list[np.ndarray], junk: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Padded with noise of the level `junk`, which no feature may see."""
    audio = junk * torch.randn(len(rows), max(map(len, rows)), generator=torch.Generator().manual_seed(0))
    for row, clip in zip(audio, rows, strict=True):
        row[: len(clip)] = torch.from_numpy(clip)
    return audio, torch.tensor([len(r) for r in rows])


@pytest.mark.parametrize("front_end", [FrontEnd(), FrontEnd(bins=128), FrontEnd(kept_bins=(1, 5, 60))])
def test_each_row_equals_numpy_on_the_clip_alone(rows: list[np.ndarray], front_end: FrontEnd) -> None:
    audio, lengths = batch(rows, junk=5.0)
    mel, frames = LogMel(front_end)(audio, lengths)
    assert mel.shape == (len(rows), audio.shape[1] // 160, front_end.inputs)
    for i, clip in enumerate(rows):
        alone = log_mel(clip, front_end)
        assert frames[i] == len(alone) == len(clip) // 160
        assert np.abs(mel[i, : frames[i]].numpy() - alone).max(initial=0.0) < 1e-4
        assert torch.all(mel[i, frames[i] :] == 0)


def test_windows_of_a_fixed_length(rows: list[np.ndarray]) -> None:
    audio, lengths = batch(rows[:4], junk=1.0)
    mel, frames = LogMel(FrontEnd())(audio, lengths, pad_to=480_000)
    assert mel.shape == (4, 3000, 80) and frames.tolist() == [3000] * 4
    for i, clip in enumerate(rows[:4]):
        assert np.abs(mel[i].numpy() - log_mel(clip, FrontEnd(), pad_to=480_000)).max() < 1e-4
    with pytest.raises(ValueError, match="does not fit"):
        LogMel(FrontEnd())(audio, lengths, pad_to=16000)


def test_fp32_under_autocast(rows: list[np.ndarray]) -> None:
    audio, lengths = batch(rows[:4], junk=0.0)
    features = LogMel(FrontEnd())
    plain, _ = features(audio, lengths)
    with torch.autocast("cpu", torch.bfloat16):
        mel, _ = features(audio, lengths)
    assert mel.dtype == torch.float32 and torch.equal(mel, plain)


def test_nothing_in_the_checkpoint() -> None:
    assert not LogMel(FrontEnd(kept_bins=(0, 1))).state_dict()


def test_only_clips_shorter_than_a_hop() -> None:
    mel, frames = LogMel(FrontEnd())(torch.ones(2, 100), torch.tensor([100, 3]))
    assert mel.shape == (2, 0, 80) and frames.tolist() == [0, 0]


def test_no_value_is_read_back() -> None:
    features = LogMel(FrontEnd(kept_bins=(0, 5)))
    with FakeTensorMode(allow_non_fake_inputs=True):  # tensors without values: reading one is an error
        mel, frames = features(torch.empty(8, 50000), torch.empty(8, dtype=torch.long))
        with pytest.raises(DataDependentOutputException):
            int(frames.max())
    assert mel.shape == (8, 312, 2) and frames.shape == (8,)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_gpu_equals_cpu_without_waiting(rows: list[np.ndarray]) -> None:
    audio, lengths = batch(rows, junk=1.0)
    expected, _ = LogMel(FrontEnd())(audio, lengths)
    features, on_gpu, lengths_gpu = LogMel(FrontEnd()).cuda(), audio.cuda(), lengths.cuda()
    features(on_gpu, lengths_gpu)
    torch.cuda.set_sync_debug_mode("error")
    try:
        mel, _ = features(on_gpu, lengths_gpu)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert (mel.cpu() - expected).abs().max() < 1e-4

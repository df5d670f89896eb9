"""Any kind of features: numpy and torch are one definition, pruned dimensions are columns of the whole."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from speech_clips import clips

from secateur.features.front_end import FrontEnd, extract, front_end
from secateur.features.kaldi import needed
from secateur.features.whisper import log_mel

torch = pytest.importorskip("torch")

from torch._subclasses.fake_tensor import FakeTensorMode  # noqa: E402

from secateur.features.front_end import extractor  # noqa: E402
from secateur.features.whisper_torch import LogMel  # noqa: E402

KINDS = [
    FrontEnd(kept_bins=(2, 7)),
    front_end("fbank", energy=True, deltas=1, normalise="mean"),
    front_end("fbank", snip_edges=False, deltas=2, normalise="mean_variance"),
    front_end("fbank", full_scale=1.0, window_shape="hamming", preemphasis=0.0, remove_dc=False),
    front_end("mfcc", deltas=2),
    front_end("mfcc", energy=True, deltas=2, snip_edges=False, normalise="mean_variance", kept=(38, 0, 13, 27)),
    front_end("mfcc", energy=True, deltas=1, kept=(0, 13)),  # of the energy nothing but the samples is needed
    front_end("mfcc", 11025, snip_edges=False, deltas=2),
    front_end("mfcc", 8000, hop=210, snip_edges=False),  # frames that leave samples out
    front_end("mfcc", 8000, window=551, hop=160, bins=128, coefficients=20, lifter=7.0, normalise="mean_variance"),
    front_end("nemo"),
    front_end("nemo", bins=128, preemphasis=0.0),
]


@pytest.fixture(scope="module")
def rows(speech: Path) -> list[np.ndarray]:
    found = [audio for name in ("librispeech-mini", "speechocean762") for audio, _ in clips(speech, name, 2)]
    lengths = (0, 1, 54, 55, 79, 80, 81, 159, 160, 240, 274, 275, 399, 400, 401, 559, 560, 600, 1000)
    return [*found, *(found[0][16000 : 16000 + n] for n in lengths), np.zeros(4000, np.float32)]


def batch(rows: list[np.ndarray]) -> tuple[torch.Tensor, torch.Tensor]:
    """Padded with loud noise, which no feature may see."""
    audio = 5 * torch.randn(len(rows), max(map(len, rows)) + 100, generator=torch.Generator().manual_seed(0))
    for row, clip in zip(audio, rows, strict=True):
        row[: len(clip)] = torch.from_numpy(clip)
    return audio, torch.tensor([len(r) for r in rows])


@pytest.mark.parametrize("wanted", KINDS)
def test_each_row_equals_numpy_on_the_clip_alone(rows: list[np.ndarray], wanted: FrontEnd) -> None:
    features, frames = extractor(wanted)(*batch(rows))
    assert features.dtype == torch.float32
    for i, clip in enumerate(rows):
        alone = extract(clip, wanted)
        assert alone.shape == (frames[i], wanted.inputs) == (wanted.frames(len(clip)), features.shape[2])
        assert alone.dtype == np.float32 and np.isfinite(alone).all()
        assert np.abs(features[i, : frames[i]].numpy() - alone).max(initial=0.0) < 1e-4
        assert torch.all(features[i, frames[i] :] == 0)


def test_whisper_is_its_log_mel(rows: list[np.ndarray]) -> None:
    assert np.array_equal(extract(rows[0], FrontEnd()), log_mel(rows[0], FrontEnd()))
    assert front_end("whisper") == FrontEnd()


def columns(whole: np.ndarray, units: list[int], kind: str) -> np.ndarray:
    """What is left of features when only the columns `units` are computed.

    Whisper's lowest values are 80 dB below the loudest of all that is computed, where the whole has its own floor.
    """
    found = whole[:, units]
    if kind != "whisper":
        return found
    return np.where(found > whole.max() - 2 + 1e-5, found, np.nan)  # nobody knows what is under it


@settings(max_examples=25)
@given(data=st.data())
def test_pruned_dimensions_are_columns_of_the_whole(rows: list[np.ndarray], data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(["whisper", "fbank", "mfcc"]))
    more = {} if kind == "whisper" else {"energy": data.draw(st.booleans()), "deltas": data.draw(st.integers(0, 2))}
    normalise = {} if kind == "whisper" else {"normalise": data.draw(st.sampled_from(["none", "mean_variance"]))}
    whole = front_end(kind, **more, **normalise)
    units = data.draw(st.lists(st.integers(0, whole.inputs - 1), min_size=1, max_size=9, unique=True))
    pruned = whole.keeping(units)
    assert pruned.inputs == len(units)
    clip = rows[2]
    assert np.nan_to_num(np.abs(extract(clip, pruned) - columns(extract(clip, whole), units, kind))).max() < 1e-4
    again = pruned.keeping([len(units) - 1])  # numbers count what was left
    assert np.nan_to_num(np.abs(extract(clip, again) - columns(extract(clip, whole), units[-1:], kind))).max() < 1e-4


def test_pruning_makes_the_front_end_smaller() -> None:
    whole = needed(front_end("fbank"))
    assert whole.filters.shape[1] == 80 and whole.columns is None
    low = needed(front_end("fbank", deltas=2, kept=(0, 80, 5, 165)))  # bins 0 and 5, with some of their deltas
    assert low.bins == (0, 5) and low.filters.shape[1] == 2
    assert len(low.filters) < len(whole.filters) / 10  # the spectrum above bin 5 is of no use
    assert needed(front_end("mfcc", kept=(3, 7))).statics == (3, 7)
    assert needed(front_end("mfcc", energy=True, kept=(0,))).bins == ()


def test_normalised_over_the_clip(rows: list[np.ndarray]) -> None:
    features = extract(rows[0], front_end("mfcc", deltas=2, normalise="mean_variance"))
    assert np.abs(features.mean(0)).max() < 1e-4 and np.abs(features.std(0) - 1).max() < 1e-3
    plain = extract(rows[0], front_end("mfcc", deltas=2))
    centred = extract(rows[0], front_end("mfcc", deltas=2, normalise="mean"))
    assert np.abs(centred - (plain - plain.mean(0))).max() < 1e-4


def test_full_scale_moves_log_mel_and_nothing_else(rows: list[np.ndarray]) -> None:
    loud = front_end("fbank", full_scale=2.0**15)
    quiet = front_end("fbank", full_scale=2.0**12)
    assert np.allclose(extract(rows[0], loud) - extract(rows[0], quiet), 2 * np.log(8), atol=1e-4)


def test_two_channels_are_refused() -> None:
    with pytest.raises(ValueError, match="one channel"):
        extract(np.zeros((2, 16000), np.float32), front_end("mfcc"))


def test_whisper_s_own_functions_refuse_other_kinds() -> None:
    with pytest.raises(ValueError, match="this is Whisper"):
        log_mel(np.zeros(16000, np.float32), front_end("fbank"))
    with pytest.raises(ValueError, match="this is Whisper"):
        LogMel(front_end("mfcc"))


def test_nothing_in_the_checkpoint_and_fp32_under_autocast(rows: list[np.ndarray]) -> None:
    module = extractor(front_end("mfcc", deltas=2))
    audio, lengths = batch(rows[:2])
    plain, _ = module(audio, lengths)
    with torch.autocast("cpu", torch.bfloat16):
        found, _ = module(audio, lengths)
    assert torch.equal(plain, found) and not module.state_dict()


@pytest.mark.parametrize("snip", [True, False])
def test_no_value_is_read_back(snip: bool) -> None:
    module = extractor(front_end("mfcc", deltas=2, normalise="mean_variance", snip_edges=snip, kept=(0, 20)))
    with FakeTensorMode(allow_non_fake_inputs=True):  # tensors without values: reading one is an error
        features, frames = module(torch.empty(8, 50000), torch.empty(8, dtype=torch.long))
    assert features.shape == (8, 311 if snip else 313, 2) and frames.shape == (8,)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("wanted", KINDS)
def test_gpu_equals_cpu_without_waiting(rows: list[np.ndarray], wanted: FrontEnd) -> None:
    audio, lengths = batch(rows)
    expected, _ = extractor(wanted)(audio, lengths)
    module, on_gpu, lengths_gpu = extractor(wanted).cuda(), audio.cuda(), lengths.cuda()
    module(on_gpu, lengths_gpu)
    torch.cuda.set_sync_debug_mode("error")
    try:
        features, _ = module(on_gpu, lengths_gpu)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert (features.cpu() - expected).abs().max() < 1e-4

"""States carried between chunks: what a streamed chunk says is what the whole clip says, and nothing is heard twice."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")

from small_ctc import CONFIGS, NoText, small_ctc  # noqa: E402
from speech_clips import clips  # noqa: E402

from secateur.base.errors import SecateurError  # noqa: E402
from secateur.base.options import from_dict, to_dict  # noqa: E402
from secateur.export.onnx import export_onnx  # noqa: E402
from secateur.families.ctc.config import CtcConfig, DirectionWidths, RecurrentWidths, Streaming  # noqa: E402
from secateur.families.ctc.export import ctc_stream_graph  # noqa: E402
from secateur.families.ctc.model import CtcModel  # noqa: E402
from secateur.features.front_end import front_end  # noqa: E402
from secateur.runtime.ctc_recogniser import CtcRecogniser, from_export  # noqa: E402
from secateur.runtime.streaming import StreamOptions, open_stream  # noqa: E402
from secateur.runtime.streaming.chunks import (  # noqa: E402
    CachedChunks,
    chunks_of,
    pieces,
)
from secateur.text.units import Units  # noqa: E402

torch.set_num_threads(1)
FORWARDS = RecurrentWidths("gru", (DirectionWidths(11, 0), DirectionWidths(13, 0)))
BASE = replace(CONFIGS["streaming"], subsampling=None, inception=None, recurrent=None, conformer=None)
KINDS = {
    "subsampling": replace(BASE, subsampling=CONFIGS["subsampling"].subsampling),
    "inception": replace(BASE, inception=CONFIGS["inception"].inception),
    "gru": replace(BASE, recurrent=FORWARDS),
    "lstm": replace(BASE, recurrent=replace(FORWARDS, cell="lstm")),
    "conformer": replace(BASE, conformer=CONFIGS["conformer"].conformer),
    "conformer without a past": replace(BASE, conformer=CONFIGS["conformer"].conformer, streaming=Streaming(4, 0)),
    "everything": CONFIGS["streaming"],
    "deltas": replace(CONFIGS["streaming"], front_end=front_end("fbank", bins=13, deltas=2)),
    "mfcc, edges snipped": replace(CONFIGS["streaming"], front_end=front_end("mfcc", snip_edges=True)),
}


def network(config: CtcConfig) -> CtcModel:
    """With random weights, running statistics included."""
    torch.manual_seed(0)
    model = CtcModel(config).eval()
    with torch.no_grad():
        for name, value in model.state_dict().items():
            value.add_(0.15 * torch.rand_like(value) if name.endswith("var") else 0.15 * torch.randn_like(value))
    return model


def recogniser(model: CtcModel, folder: Path, precision: str = "fp32") -> CtcRecogniser:
    """Its export."""
    return from_export(export_onnx(model, Units((" ", *"abcde")), folder, precision), threads=1)


@pytest.mark.parametrize("kind", KINDS)
def test_chunks_with_states_equal_the_whole_clip(kind: str, speech: Path, tmp_path: Path) -> None:
    audio = clips(speech, "speechocean762", 6)[0][0][:40007]
    heard = recogniser(network(KINDS[kind]), tmp_path / "out")
    chunks = chunks_of(heard, StreamOptions())
    assert isinstance(chunks, CachedChunks)
    whole, streamed = heard.log_probs([audio])[0], np.concatenate(list(pieces(chunks, audio)))
    assert len(whole) > 50
    np.testing.assert_allclose(streamed, whole, atol=2e-4)
    again = np.concatenate(list(pieces(chunks, audio)))  # a clip leaves nothing behind
    np.testing.assert_array_equal(again, streamed)
    forgotten = [chunks._network.run, chunks._network.begin]  # without its states it would say something else
    chunks._network.run = lambda features, state: forgotten[0](features, forgotten[1]())  # type: ignore[method-assign]
    assert np.abs(np.concatenate(list(pieces(chunks, audio))) - whole).max() > 0.01


@pytest.mark.parametrize("piece", [777, 16000])
def test_a_stream_says_what_the_clip_says(piece: int, speech: Path, tmp_path: Path) -> None:
    audio = clips(speech, "speechocean762", 6)[0][0]
    heard = recogniser(network(CONFIGS["streaming"]), tmp_path / "out")
    stream = open_stream(heard, StreamOptions(detector="none", interval=0.1))
    events = [event for i in range(0, len(audio), piece) for event in stream.feed(audio[i : i + piece])]
    final = (events + stream.finish())[-1]
    whole = heard.log_probs([audio])[0]
    np.testing.assert_allclose(stream.decoder.log_probs(), whole, atol=2e-4)  # type: ignore[attr-defined]
    segment = heard.segment(whole, len(audio) / 16000, StreamOptions().decoding)
    assert segment is not None
    assert final.text.split() == segment.text.split()
    assert len(events) > 3 or piece > 1600


def test_bytes_are_streamed_too(speech: Path, tmp_path: Path) -> None:
    audio = clips(speech, "speechocean762", 6)[0][0][:32000]
    heard = recogniser(network(CONFIGS["streaming"]), tmp_path / "out", "int8")
    streamed = np.concatenate(list(pieces(chunks_of(heard, StreamOptions()), audio)))
    np.testing.assert_allclose(streamed, heard.log_probs([audio])[0], atol=2e-3)


def test_what_comes_later_changes_nothing_and_padding_neither() -> None:
    model = network(CONFIGS["streaming"])
    features = torch.randn(1, 96, 19, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        whole, _ = model(features)
        part, _ = model(features[:, :72])  # 6 chunks of 3 outputs of 4 frames
        padded, counts = model(torch.cat([features, features.flip(1)]), torch.tensor([72, 96]))
    torch.testing.assert_close(part, whole[:, :18], atol=1e-5, rtol=0)
    assert counts.tolist() == [18, 24]
    torch.testing.assert_close(padded[:1, :18], part, atol=1e-5, rtol=0)


def test_networks_that_need_the_end_are_refused() -> None:
    with pytest.raises(SecateurError, match="whole clips"):
        ctc_stream_graph(CONFIGS["gru"], small_ctc("gru").state_dict(), "fp32")
    with pytest.raises(ValueError, match="hear backwards"):
        replace(CONFIGS["gru"], streaming=Streaming(4, 8))
    with pytest.raises(ValueError, match="not normalised over the clip"):
        replace(CONFIGS["streaming"], front_end=front_end("fbank", bins=19, normalise="mean"))
    with pytest.raises(ValueError, match="at least 1"):
        replace(CONFIGS["streaming"], streaming=Streaming(0, 8))


def test_a_bidirectional_model_has_no_stream_and_is_heard_in_windows(tmp_path: Path) -> None:
    folder = export_onnx(small_ctc("gru"), NoText(), tmp_path / "out", "fp32")
    assert not (folder / "stream.onnx").exists()
    config = CONFIGS["streaming"]
    assert from_dict(CtcConfig, to_dict(config), "config") == config

"""Features inside the graph equal `features.front_end.extract`; sherpa-onnx itself says what our runtime says."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from peer_programs import python_with
from small_ctc import CONFIGS, PLAIN, small_ctc
from speech_clips import clips

from secateur.base.errors import SecateurError
from secateur.export.graph import OnnxGraph
from secateur.export.kaldi_features import features_graph
from secateur.families.ctc.model import CtcModel
from secateur.families.ctc.task import recogniser_of
from secateur.families.ctc.write_sherpa import write_sherpa
from secateur.features.front_end import FrontEnd, extract, front_end
from secateur.text.units import Units

KINDS = {
    "fbank": front_end("fbank"),
    "mirrored": front_end("fbank", snip_edges=False, high_hz=7600.0, normalise="mean"),
    "mfcc with deltas": front_end("mfcc", deltas=2, normalise="mean_variance"),
    "8 kHz, half of it": front_end("mfcc", 8000, deltas=1, kept=tuple(range(3, 20, 2))),
}


def sound(wanted: FrontEnd) -> np.ndarray:  # type: ignore[type-arg]
    """A second and a bit of something between noise and a tone."""
    time = np.arange(round(1.23 * wanted.sample_rate)) / wanted.sample_rate
    noise = 0.01 * np.random.default_rng(0).standard_normal(len(time))
    return (0.2 * np.sin(2 * np.pi * 300 * time * (1 + time)) + noise).astype(np.float32)


@pytest.mark.parametrize("kind", KINDS)
def test_features_inside_the_graph_are_those_outside(kind: str) -> None:
    import onnxruntime

    wanted, graph = KINDS[kind], OnnxGraph("features")
    found = features_graph(graph, graph.input("samples", np.float32, ("batch", "n")), wanted)
    graph.output(found, "features", np.float32, ("batch", "frames", wanted.inputs))
    session = onnxruntime.InferenceSession(graph.model({}).SerializeToString(), providers=["CPUExecutionProvider"])
    audio = sound(wanted)
    inside, outside = session.run(None, {"samples": audio[None]})[0][0], extract(audio, wanted)
    assert inside.shape == outside.shape
    np.testing.assert_allclose(inside, outside, atol=5e-3)


def test_what_sherpa_cannot_hear_is_refused(tmp_path: Path) -> None:
    units = Units((" ", *"abcde"))
    with pytest.raises(SecateurError, match="not normalised"):
        write_sherpa(tmp_path, small_ctc("gru"), units)
    slow = CtcModel(replace(CONFIGS["gru"], front_end=front_end("fbank", 8000, bins=19, normalise="mean")))
    with pytest.raises(SecateurError, match="16000 Hz"):
        write_sherpa(tmp_path, slow, units)
    assert list(tmp_path.iterdir()) == []


SHERPA = """
import sys, numpy, sherpa_onnx
folder = sys.argv[1]
recogniser = sherpa_onnx.OfflineRecognizer.from_omnilingual_asr_ctc(folder + "/model.onnx", folder + "/tokens.txt")
for clip in numpy.load(sys.argv[2]).values():
    stream = recogniser.create_stream()
    stream.accept_waveform(16000, clip)
    recogniser.decode_stream(stream)
    print(stream.result.text.strip())
"""


@pytest.mark.parametrize("kind", ["subsampled gru", "inception"])
def test_sherpa_says_what_we_say(kind: str, speech: Path, tmp_path: Path) -> None:
    python = python_with("sherpa_onnx")
    torch.manual_seed(4)
    changes = {"front_end": front_end("fbank", bins=19, normalise="mean_variance"), "units": PLAIN.units}
    model = CtcModel(replace(CONFIGS[kind], **changes)).eval()  # type: ignore[arg-type]
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.15 * torch.randn_like(parameter))
    units = Units((" ", *"abcde"))
    audios = [audio for audio, _ in clips(speech, "speechocean762", 3)]
    ours = [found.text for found in recogniser_of(model, units).transcribe_batch(audios)]
    assert len(set(ours)) == 3
    assert min(map(len, ours)) > 5
    np.savez(tmp_path / "clips.npz", *audios)
    words = [python, "-c", SHERPA, str(write_sherpa(tmp_path / "out", model, units)), str(tmp_path / "clips.npz")]
    theirs = subprocess.run(words, capture_output=True, text=True, check=True).stdout.splitlines()
    assert [text.split() for text in theirs] == [text.split() for text in ours]

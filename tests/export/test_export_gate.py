"""An export proves itself: its error rate on dev, static int8 from train data, formats that other programs read."""

from __future__ import annotations

import copy
import json
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from peer_programs import python_with
from small_ctc import NoText, small_ctc
from small_models import small_whisper
from speech_clips import clips

from secateur.base.errors import SecateurError
from secateur.cli import main
from secateur.data.manifest import read_manifest
from secateur.decode.generation import Generation
from secateur.evaluate import calibration
from secateur.evaluate.real_use import measure, source_of
from secateur.export.calibration import calibrate
from secateur.export.exporter import exporter_of
from secateur.export.job import ErrorRateGate, error_drift, export_checked
from secateur.export.onnx import export_onnx
from secateur.families.whisper.write_ctranslate2 import write_ctranslate2
from secateur.families.whisper.write_ggml import their_name, write_ggml
from secateur.models.checkpoint import save_checkpoint
from secateur.runtime.contents import find_model
from secateur.runtime.onnx_session import OnnxSession
from secateur.runtime.recogniser import Recogniser

torch.set_num_threads(1)


@pytest.fixture
def dev(speech: Path, tmp_path: Path) -> Path:
    """A manifest of three real clips."""
    lines = [json.loads(x) for x in (speech / "librispeech-mini" / "dev.jsonl").read_text().splitlines()[:60:20]]
    for line in lines:
        line["audio"] = str(speech / "librispeech-mini" / line["audio"])
    path = tmp_path / "dev.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def test_the_gate_measures_both_and_keeps_what_it_found(
    dev: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = save_checkpoint(tmp_path / "model", *small_whisper())
    out = tmp_path / "out"
    words = ["export", str(model), "--out", str(out), "--precision", "int8-static", "--dev", str(dev)]
    assert main([*words, "--json"]) == 2
    assert "--calibrate" in capsys.readouterr().err
    assert main([*words, "--calibrate", str(dev), "--tolerance", "1000", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["parity"]
    assert found["dev_clips"] == 3
    assert found["dev_source"] > 50  # random weights
    assert abs(found["dev_export"] - found["dev_source"]) < 1000


def test_conditions_are_decoded_with_the_thresholds_that_are_kept(
    tiny_en_model: Any, dev: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calibration, "LEAST", 1)
    dev.write_text(dev.read_text().splitlines(keepends=True)[0])
    noise = tmp_path / "noise.wav"
    soundfile.write(noise, np.random.default_rng(0).standard_normal(32_000) * 0.05, 16_000)
    silent = tmp_path / "silent.jsonl"
    silent.write_text(json.dumps({"id": "noise", "audio": str(noise), "duration": 2.0, "text": ""}) + "\n")
    gate = ErrorRateGate(dev, tolerance=1000, nonspeech=silent, by_condition={"pause-2": 1000})
    folder = tmp_path / "out"
    model, tokenizer = copy.copy(tiny_en_model[0]), tiny_en_model[1]
    model.config = replace(model.config, padded=False)  # 30 s for every clip would be most of the time
    kept = export_checked(model, tokenizer, folder, "int8", gate=gate)["parity"]
    export = Recogniser.load(folder, workers=0)
    assert export.generation != Generation()  # chosen on dev, before the condition was measured
    again = measure(export, source_of(read_manifest(dev), export.sample_rate), ["pause-2"], model="", data="")
    assert kept["conditions"]["pause-2"]["export"] == again["pause-2"].rate


def test_an_export_that_makes_more_mistakes_is_refused(tiny_en_model: Any, dev: Path) -> None:
    model, tokenizer = tiny_en_model  # better at audio books than the bundled model
    with pytest.raises(SecateurError, match=r"error rate on dev\.jsonl is [1-9].*more than 0\.2 points below"):
        error_drift(model, tokenizer, find_model(None), ErrorRateGate(dev, tolerance=0.2))


@pytest.mark.parametrize("precision", ["int8-dynamic", "int8-static"])
def test_bytes_in_the_encoder_stay_near_and_rows_do_not_touch(precision: str, tmp_path: Path) -> None:
    model, tokenizer = small_whisper()
    noise = torch.Generator().manual_seed(3)
    mels = [torch.randn(count, 80, generator=noise).numpy() for count in (90, 57)]
    ranges = calibrate(exporter_of(model.config).observed(model), mels)
    assert ranges["encoder.conv1"] > 2  # of a normal distribution's largest values
    folder = export_onnx(model, tokenizer, tmp_path / "out", precision, ranges=ranges)
    session, exact = OnnxSession(folder, threads=1), OnnxSession(export_onnx(model, tokenizer, tmp_path / "exact"))
    batch = np.zeros((2, 90, 80), np.float32)
    batch[0], batch[1, :57] = mels
    together = session.encode(batch, np.array([90, 57])).audio
    alone = session.encode(batch[1:, :57], None).audio
    right = exact.encode(batch[1:, :57], None).audio
    for name in ("cross_keys_0", "cross_values_1"):
        # Bytes round at other places when what came before was summed in another order.
        np.testing.assert_allclose(together[name][1:, :, :29], alone[name], atol=0.02 * np.abs(alone[name]).max())
        away = np.abs(alone[name] - right[name]).max() / np.abs(right[name]).max()
        assert 1e-5 < away < 0.15, (name, away)


def test_ctc_networks_multiply_bytes_too(tmp_path: Path) -> None:
    import onnxruntime

    model = small_ctc("subsampled conformer")
    features = torch.randn(1, 80, 19, generator=torch.Generator().manual_seed(0)).numpy()
    ranges = calibrate(exporter_of(model.config).observed(model), [features[0]])
    right = torch.exp(model(torch.from_numpy(features))[0]).detach().numpy()
    for precision in ("int8-dynamic", "int8-static"):
        folder = export_onnx(model, NoText(), tmp_path / precision, precision, ranges=ranges)
        network = onnxruntime.InferenceSession(folder / "network.onnx", providers=["CPUExecutionProvider"])
        found = np.exp(network.run(["log_probs"], {"features": features, "frames": np.array([80])})[0])
        assert 1e-6 < np.abs(found - right).max() < 0.1, precision


def test_names_of_openai_there_and_back(tiny_en_model: Any) -> None:
    from secateur.families.whisper.read_openai import our_name

    names = list(tiny_en_model[0].state_dict())
    assert [our_name(their_name(name)) for name in names] == names
    assert their_name("encoder.layers.0.attention_norm.weight") == "encoder.blocks.0.attn_ln.weight"


def test_widths_of_its_own_no_other_program_reads(tmp_path: Path) -> None:
    for write, program in ((write_ctranslate2, "CTranslate2"), (write_ggml, "whisper.cpp")):
        with pytest.raises(SecateurError, match=f"{program}.*export to ONNX"):
            write(tmp_path / "x", *small_whisper())
    assert not (tmp_path / "x").exists()


def test_what_ctranslate2_gets_is_read_back_as_it_was(tiny_en_model: Any, tmp_path: Path) -> None:
    from secateur.families.whisper.read_ctranslate2 import read_ctranslate2

    model, tokenizer = tiny_en_model
    back, _ = read_ctranslate2(write_ctranslate2(tmp_path / "ct2", model, tokenizer))
    assert back.config.encoder == model.config.encoder
    assert back.config.tokens.suppress == model.config.tokens.suppress
    for (name, ours), theirs in zip(model.state_dict().items(), back.state_dict().values(), strict=True):
        assert torch.equal(ours, theirs), name  # tiny.en is published in 16 bits


FASTER_WHISPER = """
import sys, numpy
from faster_whisper import WhisperModel
model = WhisperModel(sys.argv[1], device="cpu", compute_type="float32", cpu_threads=1)
options = dict(language="en", beam_size=1, temperature=0.0, without_timestamps=True, condition_on_previous_text=False)
for clip in numpy.load(sys.argv[2]).values():
    print(" ".join(segment.text.strip() for segment in model.transcribe(clip, **options)[0]))
"""
WHISPER_CPP = """
import sys, numpy
from pywhispercpp.model import Model
model = Model(sys.argv[1], n_threads=1, print_progress=False, redirect_whispercpp_logs_to=None)
for clip in numpy.load(sys.argv[2]).values():
    print(" ".join(segment.text.strip() for segment in model.transcribe(clip)))
"""


@pytest.mark.parametrize(("module", "script"), [("faster_whisper", FASTER_WHISPER), ("pywhispercpp", WHISPER_CPP)])
def test_the_program_itself_says_what_we_say(
    module: str, script: str, tiny_en_model: Any, speech: Path, tmp_path: Path
) -> None:
    from secateur.decode.options import DecodingOptions
    from secateur.models.device_session import TorchSession
    from secateur.runtime.token_recogniser import WhisperRecogniser
    from secateur.text.normalise import normaliser

    python = python_with(module)
    model, tokenizer = tiny_en_model
    write = write_ctranslate2 if module == "faster_whisper" else write_ggml
    written = write(tmp_path / "model.bin", model, tokenizer)
    audios = [audio for audio, _ in clips(speech, "librispeech-mini", 60)[3:9:4]]
    np.savez(tmp_path / "clips.npz", *audios)
    words = [python, "-c", script, str(written), str(tmp_path / "clips.npz")]
    theirs = subprocess.run(words, capture_output=True, text=True, check=True).stdout.splitlines()
    recogniser = WhisperRecogniser(TorchSession(model), tokenizer)
    options = DecodingOptions(timestamps=False, temperatures=(0.0,))
    ours = [recogniser.transcribe(audio, options).text for audio in audios]
    plain = normaliser("en")
    assert all(len(text.split()) > 10 for text in ours)
    assert [plain(text).replace(" .", "") for text in theirs] == [plain(text).replace(" .", "") for text in ours]

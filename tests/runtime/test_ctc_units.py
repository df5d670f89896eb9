"""Phones and pieces go where characters go: checkpoint, recogniser, export, runtime, with and without a lexicon."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")

from small_ctc import CONFIGS  # noqa: E402

from secateur.cli import main  # noqa: E402
from secateur.data.manifest import read_manifest, write_manifest  # noqa: E402
from secateur.decode.options import DecodingOptions  # noqa: E402
from secateur.evaluate.result import read_result  # noqa: E402
from secateur.export.onnx import export_onnx  # noqa: E402
from secateur.families.ctc.model import CtcModel  # noqa: E402
from secateur.lm.estimate import train_ngram  # noqa: E402
from secateur.lm.tables import write_ngram  # noqa: E402
from secateur.models.checkpoint import load_checkpoint, save_checkpoint  # noqa: E402
from secateur.runtime.recogniser import Recogniser  # noqa: E402
from secateur.text.phones import PHONES  # noqa: E402
from secateur.text.units import KINDS, make_units  # noqa: E402


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "pinyin"])  # see test_pinyin
def test_a_model_reads_the_same_wherever_it_runs(kind: str, speech: Path, tmp_path: Path) -> None:
    if kind != "characters":
        pytest.importorskip({"phones": "pocketsphinx", "pieces": "sentencepiece"}[kind])
    clips = [u for u in read_manifest(speech / "speechocean762" / "dev.jsonl") if u.duration < 4][:6]
    texts = [u.text for u in clips]
    units = make_units(kind, texts, count=60)
    torch.manual_seed(1)
    model = CtcModel(replace(CONFIGS["subsampled gru"], units=units.outputs)).eval()
    with torch.no_grad():  # an untrained network says one thing all the time
        model.output.weight.mul_(6.0)
        model.output.bias[0] = -4.0
    save_checkpoint(tmp_path / "model", model, units)
    export_onnx(model, units, tmp_path / "onnx")
    assert load_checkpoint(tmp_path / "model")[1] == units
    write_ngram(tmp_path / "lm.npz", train_ngram(texts, 2))
    audio = [u.audio for u in clips]
    weighed = DecodingOptions(lm=(tmp_path / "lm.npz",), beam=8, lm_weight=0.1, word_bonus=5.0, word_times=True)
    for options in (DecodingOptions(), weighed):
        ours, theirs = (Recogniser.load(tmp_path / name).transcribe_batch(audio, options) for name in ("model", "onnx"))
        assert [t.text for t in ours] == [t.text for t in theirs]
        assert len({t.text for t in ours}) > 2
    if kind == "phones":  # a phone error rate compares sounds: those of greedy decoding, wherever the model runs
        write_manifest(tmp_path / "clips.jsonl", clips)
        rates = []
        for name in ("model", "onnx"):
            words = ["evaluate", str(tmp_path / name), str(tmp_path / "clips.jsonl"), "--metric", "per"]
            assert main([*words, "--out", str(tmp_path / "per.json"), "--device", "cpu"]) == 0
            result = read_result(tmp_path / "per.json")
            rates.append(result.rate)
            assert result.rows[0].reference == units.sounds(units.encode(clips[0].text))  # type: ignore[attr-defined]
            assert set(result.rows[0].hypothesis.split()) <= set(PHONES)
            assert result.words > 2 * len(" ".join(texts).split())
        assert rates[0] == rates[1]
    words = {word for text in texts for word in text.split()}
    for found, clip in zip(ours, clips, strict=True):
        assert set(found.text.split()) <= words
        for segment in found.segments:
            assert [w.text for w in segment.words] == found.text.split()
            times = [time for w in segment.words for time in (w.start, w.end)]
            assert times == sorted(times) and times[-1] <= clip.duration + 0.05

"""The recogniser as users call it, on real weights and speech."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from speech_clips import clips, dev_weights

from secateur.base.errors import SecateurError
from secateur.decode.options import DecodingOptions
from secateur.runtime.recogniser import Recogniser


@pytest.fixture(scope="module")
def recogniser() -> Recogniser:
    pytest.importorskip("torch")
    folder = dev_weights("tiny.en")
    if folder is None:
        pytest.skip("no weights of tiny.en in the cache")
    return Recogniser.load(folder, threads=1)


def test_batches_keep_order_and_text(recogniser: Recogniser, speech: Path) -> None:
    audios = [audio for audio, _ in clips(speech, "speechocean762", 2)]
    together = recogniser.transcribe_batch([*audios, np.zeros(16000, np.float32)])
    assert [t.text for t in together[:2]] == [recogniser.transcribe(audio).text for audio in audios]
    assert all(t.language == "en" for t in together)
    assert [t.duration for t in together] == pytest.approx([len(a) / 16000 for a in audios] + [1.0], abs=1e-3)
    assert together[2].text == ""
    assert together[2].segments == ()


def test_words_come_out_right(recogniser: Recogniser, speech: Path) -> None:
    kaldialign = pytest.importorskip("kaldialign")
    long = clips(speech, "librispeech-mini", 40)[:3]
    audio, reference = np.concatenate([a for a, _ in long]), " ".join(text for _, text in long)

    def error_rate(options: DecodingOptions) -> float:
        text = recogniser.transcribe(audio, options).text.lower()
        words = "".join(c if c.isalnum() or c in "' " else " " for c in text).split()
        return float(kaldialign.edit_distance(reference.split(), words)["total"]) / len(reference.split())

    assert len(audio) > 31 * 16000
    assert error_rate(DecodingOptions(timestamps=False)) < 0.15  # cut at quiet places


@pytest.mark.parametrize("noise", ["white", "zeros", "empty"])
def test_no_speech_gives_no_text(recogniser: Recogniser, noise: str) -> None:
    samples = {
        "white": 0.1 * np.random.default_rng(0).standard_normal(5 * 16000),
        "zeros": np.zeros(5 * 16000),
        "empty": np.zeros(0),
    }[noise]
    found = recogniser.transcribe(samples)
    assert (found.text, found.segments) == ("", ())


def test_expected_words_guide_the_spelling(recogniser: Recogniser, speech: Path) -> None:
    # The first test clip speaks of "Ronicky", which tiny.en spells as it likes.
    audio = clips(speech, "librispeech-mini", 1)[0][0]
    assert "Ronicky" not in recogniser.transcribe(audio).text
    assert "Ronicky" in recogniser.transcribe(audio, DecodingOptions(words=("Ronicky Doone",))).text


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (np.zeros((2, 100, 3), np.float32), "shape"),
        (np.zeros(100, np.int64), "int64"),
        (np.full(100, np.nan, np.float32), "NaN"),
    ],
)
def test_arrays_that_are_not_audio(recogniser: Recogniser, wrong: np.ndarray, message: str) -> None:  # type: ignore[type-arg]
    with pytest.raises(SecateurError, match=message):
        recogniser.transcribe(wrong)


def test_a_language_the_model_lacks(recogniser: Recogniser) -> None:
    with pytest.raises(SecateurError, match="knows English only"):
        recogniser.transcribe(np.ones(16000, np.float32), DecodingOptions(language="fr"))


def test_models_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(SecateurError, match=r"no folder .*nothing; .* is there and holds nothing"):
        Recogniser.load(tmp_path / "nothing")
    with pytest.raises(SecateurError, match="neither an exported model"):
        Recogniser.load(tmp_path)


def test_an_exported_model_says_the_same_and_needs_no_torch(
    recogniser: Recogniser, speech: Path, tmp_path: Path
) -> None:
    pytest.importorskip("onnx")
    from secateur.export.onnx import export_onnx

    folder = export_onnx(recogniser.session.model, recogniser.tokenizer, tmp_path / "exported")  # type: ignore[attr-defined]
    audios = [audio for audio, _ in clips(speech, "speechocean762", 2)]
    np.savez(tmp_path / "clips.npz", *audios)
    code = (
        "import sys, numpy\n"
        "for heavy in ('torch', 'transformers', 'onnx', 'rich', 'safetensors'): sys.modules[heavy] = None\n"
        "from secateur.runtime.recogniser import Recogniser\n"
        f"recogniser = Recogniser.load({str(folder)!r}, threads=1)\n"
        f"for audio in numpy.load({str(tmp_path / 'clips.npz')!r}).values(): print(recogniser.transcribe(audio).text)\n"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.splitlines()
    assert found == [recogniser.transcribe(audio).text for audio in audios]


def test_importing_the_transcribe_path_imports_no_heavy_library() -> None:
    code = (
        "import sys, secateur.cli.transcribe, secateur.runtime.recogniser\n"
        "print([m for m in ('torch', 'transformers', 'matplotlib', 'rich', 'onnx') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"

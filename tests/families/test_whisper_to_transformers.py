"""A folder for transformers: the same logits and greedy tokens there, and nothing lost on the way back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from small_models import small_whisper  # noqa: E402
from speech_clips import clips  # noqa: E402

from secateur.base.errors import SecateurError  # noqa: E402
from secateur.decode.clips import decode_clips  # noqa: E402
from secateur.decode.options import DecodingOptions  # noqa: E402
from secateur.families.whisper.write_transformers import check_uniform, write_transformers  # noqa: E402
from secateur.features.whisper import log_mel  # noqa: E402
from secateur.models.device_session import TorchSession  # noqa: E402
from secateur.weights.transformers_layout import read_transformers  # noqa: E402


@pytest.fixture(scope="module")
def folder(tiny_en_model: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_transformers(tmp_path_factory.mktemp("written"), *tiny_en_model)


@pytest.fixture(scope="module")
def theirs(folder: Path) -> Any:
    torch.set_num_threads(1)
    return transformers.WhisperForConditionalGeneration.from_pretrained(folder).eval()


def test_logits_equal_ours(theirs: Any, tiny_en_model: Any, speech: Path) -> None:
    model, tokenizer = tiny_en_model
    (audio, text), *_ = clips(speech, "librispeech-mini", 1)
    mel = torch.from_numpy(log_mel(audio, model.config.front_end, pad_to=480_000))[None]
    tokens = torch.tensor([model.config.tokens.prompt() + tokenizer.encode(text)])
    with torch.no_grad():
        ours = model(mel, None, tokens)
        other = theirs(input_features=mel.transpose(1, 2), decoder_input_ids=tokens).logits
    assert ours.shape == other.shape == (1, tokens.shape[1], 51864)
    assert float((ours - other).abs().max()) < 1e-4
    # Not just equal: the transcript that was fed is what both expect next, almost everywhere.
    assert float((ours[0, 1:-1].argmax(-1) == tokens[0, 2:]).float().mean()) > 0.8


def test_generate_gives_the_same_tokens(theirs: Any, tiny_en_model: Any, speech: Path) -> None:
    model, tokenizer = tiny_en_model
    audios = [audio for audio, _ in clips(speech, "speechocean762", 3)]
    mel = torch.stack([torch.from_numpy(log_mel(a, model.config.front_end, pad_to=480_000)) for a in audios])
    heard = decode_clips(TorchSession(model), tokenizer, audios, DecodingOptions(temperatures=(0.0,)))
    rows = theirs.generate(mel.transpose(1, 2)).tolist()
    end = model.config.tokens.end
    assert [list(one.segments[0].tokens) for one in heard] == [[i for i in row if i < end] for row in rows]


def test_processor_is_complete(folder: Path, tiny_en_model: Any, speech: Path) -> None:
    """Users call WhisperProcessor on the same folder: features and text must be ours."""
    model, tokenizer = tiny_en_model
    processor = transformers.WhisperProcessor.from_pretrained(folder)
    (audio, text), *_ = clips(speech, "librispeech-mini", 1)
    features = processor(audio, sampling_rate=16000, return_tensors="pt").input_features
    ours = torch.from_numpy(log_mel(audio, model.config.front_end, pad_to=480_000))
    assert float((features[0].T - ours).abs().max()) < 1e-4
    ids = [*model.config.tokens.prompt(), *tokenizer.encode(text), model.config.tokens.end]
    assert processor.decode(ids, skip_special_tokens=True) == " " + text
    names = ("<|startofprev|>", "<|nospeech|>", "<|notimestamps|>", "<|0.00|>", "<|30.00|>")
    t = model.config.tokens
    expected = [t.previous, t.no_speech, t.no_timestamps, t.timestamps, model.config.vocabulary - 1]
    assert processor.tokenizer.convert_tokens_to_ids(names) == expected
    timed = [t.timestamps, *tokenizer.encode("two words"), t.timestamps + 120, t.end]
    offsets = processor.tokenizer.decode(timed, output_offsets=True)["offsets"]
    assert offsets == [{"text": " two words", "timestamp": (0.0, pytest.approx(2.4))}]


def test_reading_it_back_loses_nothing(folder: Path, tiny_en_model: Any) -> None:
    model, tokenizer = tiny_en_model
    again, other = read_transformers(folder)
    assert replace(again.config, name=model.config.name) == model.config
    assert other.encode("prune, until it errs less") == tokenizer.encode("prune, until it errs less")
    state = model.state_dict()
    assert again.state_dict().keys() == state.keys()
    assert all(torch.equal(value, state[name]) for name, value in again.state_dict().items())


def test_widths_of_one_layer_are_refused_by_name(tiny_en_model: Any, tmp_path: Path) -> None:
    config = tiny_en_model[0].config
    layers = list(config.encoder)
    layers[2] = replace(layers[2], ffn=1000)
    with pytest.raises(SecateurError, match=r"encoder\.layers\.2"):
        check_uniform(replace(config, encoder=tuple(layers)))
    first = config.decoder[1]
    cut = replace(first, cross_attention=replace(first.cross_attention, heads=5))
    with pytest.raises(SecateurError, match=r"decoder\.layers\.1\.cross_attention"):
        check_uniform(replace(config, decoder=(config.decoder[0], cut, *config.decoder[2:])))
    with pytest.raises(SecateurError, match="convolution channels"):
        write_transformers(tmp_path / "small", *small_whisper())
    assert not (tmp_path / "small").exists()


def test_what_transformers_cannot_say_is_refused(tiny_en_model: Any) -> None:
    config = tiny_en_model[0].config
    with pytest.raises(SecateurError, match="rows"):
        check_uniform(replace(config, vocabulary=5000))
    with pytest.raises(SecateurError, match="scale"):
        check_uniform(replace(config, attention_scale=0.2))
    with pytest.raises(SecateurError, match="decoder"):
        check_uniform(replace(config, decoder=()))

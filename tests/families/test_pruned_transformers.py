"""Models with widths of their own in every layer, as models of `transformers`: loaded, run, saved, read back."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
from small_hf import hf_folder  # noqa: E402
from small_models import small_whisper  # noqa: E402
from small_moonshine import moonshine_folder  # noqa: E402
from small_parakeet import parakeet_folder  # noqa: E402
from speech_clips import clips  # noqa: E402

import secateur.families.pruned as pruned  # noqa: E402
from secateur.cli import main  # noqa: E402
from secateur.families.transformers_ctc.folder import write_hf_ctc  # noqa: E402
from secateur.features.front_end import extract  # noqa: E402
from secateur.features.whisper import log_mel  # noqa: E402
from secateur.models.checkpoint import save_checkpoint  # noqa: E402
from secateur.prune.shrink import shrink  # noqa: E402
from secateur.prune.width import with_width  # noqa: E402
from secateur.weights.fetch import read_foreign  # noqa: E402

KINDS = {
    "wav2vec2": pruned.PrunedWav2Vec2ForCTC, "hubert large": pruned.PrunedHubertForCTC,
    "wavlm": pruned.PrunedWavLMForCTC, "conformer": pruned.PrunedWav2Vec2ConformerForCTC,
    "conformer rotary": pruned.PrunedWav2Vec2ConformerForCTC, "parakeet": pruned.PrunedParakeetForCTC,
}  # fmt: skip


def uneven(model: Any) -> dict[str, list[int]]:
    """A plan after which no two layers are alike."""
    plan = {}
    for i, group in enumerate(g for g in model.groups() if g.kind in ("head", "ffn", "conv", "value", "query_key")):
        if group.blocks == 1:
            plan[group.name] = sorted(range(i % 2, group.units, 2))[: max(group.minimum, group.units // 2 - i % 3)]
    return plan


@pytest.mark.parametrize("kind", KINDS)
def test_ctc_of_any_widths(kind: str, tmp_path: Path) -> None:
    (parakeet_folder if kind == "parakeet" else hf_folder)(kind, tmp_path / "hf")
    model, text = read_foreign(tmp_path / "hf")
    small = shrink(model, uneven(model))
    assert not small.config.uniform
    save_checkpoint(tmp_path / "ours", small, text)
    for name, code in (("transformers", 2), ("transformers-pruned", 0)):  # the plain format refuses
        assert main(["export", str(tmp_path / "ours"), "--format", name, "--out", str(tmp_path / name)]) == code
    folder = tmp_path / "transformers-pruned"
    loaded, report = KINDS[kind].from_pretrained(folder, output_loading_info=True)
    assert not report["missing_keys"] and not report["unexpected_keys"]
    audio = np.random.default_rng(0).standard_normal(16000).astype(np.float32)
    processor = transformers.AutoProcessor.from_pretrained(folder)
    inputs = processor(audio, sampling_rate=16000, return_tensors="pt")
    features = torch.from_numpy(extract(audio, small.config.front_end))[None]
    with torch.no_grad():
        wanted = small(features)[0][0]
        got = loaded.eval()(**inputs).logits[0].log_softmax(-1)[: len(wanted)]
    blank = text.blank if kind == "parakeet" else 0
    got = got[:, [blank, *(i for i in range(got.shape[1]) if i != blank)]]
    assert torch.allclose(got, wanted, atol=1e-3 if kind == "parakeet" else 1e-4)  # their features are 32 bits
    loaded.save_pretrained(tmp_path / "again")
    again = transformers.AutoModelForCTC.from_pretrained(tmp_path / "again")
    with torch.no_grad():
        assert torch.equal(again.eval()(**inputs).logits, loaded(**inputs).logits)
    back, units = read_foreign(folder)
    assert back.config == small.config and units.outputs == text.outputs
    with torch.no_grad():
        assert torch.equal(back(features)[0][0], wanted)


def test_it_learns_as_any_other(tmp_path: Path) -> None:
    hf_folder("wav2vec2", tmp_path / "hf", mask_time_prob=0.0, layerdrop=0.0)
    model, text = read_foreign(tmp_path / "hf")
    folder = tmp_path / "pruned"
    save_checkpoint(tmp_path / "ours", shrink(model, uneven(model)), text)
    assert main(["export", str(tmp_path / "ours"), "--format", "transformers-pruned", "--out", str(folder)]) == 0
    loaded = transformers.AutoModelForCTC.from_pretrained(folder).train()
    loss = loaded(torch.randn(2, 9000), labels=torch.tensor([[7, 8, 9], [10, 11, -100]])).loss
    loss.backward()
    assert torch.isfinite(loss) and all(p.grad is not None for n, p in loaded.named_parameters() if "q_proj" in n)


@torch.no_grad()
def spoken_greedily(model: Any, features: Any, most: int) -> list[list[int]]:
    """The likeliest allowed token after all before it, again and again, without a cache."""
    tokens = model.config.tokens
    ids = torch.tensor([tokens.prompt()] * len(features))
    for step in range(most):
        logits = model(features, None, ids)[:, -1]
        logits[:, list(tokens.suppress + (() if step else tokens.suppress_at_start))] = -torch.inf
        ids = torch.cat([ids, logits.argmax(-1, keepdim=True)], 1)
    return ids.tolist()


def without(row: list[int], config: Any) -> list[int]:
    """Text up to the end, without the prompt."""
    row = [i for i in row if i not in config.tokens.prompt()]
    return row[: row.index(config.tokens.end)] if config.tokens.end in row else row


@pytest.mark.parametrize("cut", [False, True])
def test_whisper_of_any_widths_generates_the_same(cut: bool, speech: Path, tmp_path: Path) -> None:
    model, tokenizer = small_whisper()
    bins = next(g for g in model.groups() if g.kind == "mel")
    model = shrink(model, {bins.name: list(range(3, bins.units, 2))})  # the front-end is pruned too
    if cut:
        model = with_width(model, 16)
    config = model.config
    folder = tmp_path / "pruned"
    save_checkpoint(tmp_path / "ours", model, tokenizer)
    assert main(["export", str(tmp_path / "ours"), "--format", "transformers-pruned", "--out", str(folder)]) == 0
    loaded, report = transformers.AutoModelForSpeechSeq2Seq.from_pretrained(folder, output_loading_info=True)
    assert not report["missing_keys"] and not report["unexpected_keys"]
    assert isinstance(loaded, pruned.PrunedWhisperForConditionalGeneration)
    processor = transformers.AutoProcessor.from_pretrained(folder)
    sounds = [audio[16000:34000] for audio, _ in clips(speech, "librispeech-mini", 2)]
    heard = processor(sounds, sampling_rate=16000, return_tensors="pt").input_features
    padded = [log_mel(s, config.front_end, pad_to=2 * config.audio_context * config.front_end.hop) for s in sounds]
    features = torch.from_numpy(np.stack(padded))
    assert torch.equal(heard.transpose(1, 2), features)
    prompt = torch.tensor([config.tokens.prompt()] * 2)
    ids = torch.cat([prompt, torch.tensor([[9, 8], [7, 6]])], 1)
    with torch.no_grad():
        wanted = model(features, None, ids)
        got = loaded.eval()(input_features=heard, decoder_input_ids=ids)
    assert torch.allclose(got.logits, wanted, atol=1e-4)
    ours = spoken_greedily(model, features, 12)
    for cache in (True, False):
        said = loaded.generate(heard, max_new_tokens=12, use_cache=cache, num_beams=1).tolist()
        assert [without(row, config) for row in said] == [without(row, config) for row in ours]
    back, text = read_foreign(folder)
    assert back.config == config and text.decode(text.encode("the cat")).strip() == "the cat"
    loaded.save_pretrained(tmp_path / "again")
    again = pruned.PrunedWhisperForConditionalGeneration.from_pretrained(tmp_path / "again")
    with torch.no_grad():
        assert torch.equal(again.eval()(input_features=heard, decoder_input_ids=prompt).logits,
                           loaded(input_features=heard, decoder_input_ids=prompt).logits)  # fmt: skip


def test_moonshine_of_any_widths_generates_the_same(speech: Path, tmp_path: Path) -> None:
    moonshine_folder(tmp_path / "hf")
    model, text = read_foreign(tmp_path / "hf")
    plan = uneven(model)
    model = shrink(model, {**plan, "encoder.conv1": list(range(0, 40, 3)), "encoder.conv2": list(range(5, 60))})
    config = model.config
    save_checkpoint(tmp_path / "ours", model, text)
    for name, code in (("transformers", 2), ("transformers-pruned", 0)):  # the plain format refuses
        assert main(["export", str(tmp_path / "ours"), "--format", name, "--out", str(tmp_path / name)]) == code
    folder = tmp_path / "transformers-pruned"
    loaded, report = transformers.AutoModelForSpeechSeq2Seq.from_pretrained(folder, output_loading_info=True)
    assert not report["missing_keys"] and not report["unexpected_keys"]
    assert isinstance(loaded, pruned.PrunedMoonshineForConditionalGeneration)
    [(sound, _)] = clips(speech, "librispeech-mini", 1)
    processor = transformers.AutoProcessor.from_pretrained(folder)
    heard = processor(sound[16000:34000], sampling_rate=16000, return_tensors="pt").input_values
    features = torch.from_numpy(extract(sound[16000:34000], config.front_end))[None]
    ours = spoken_greedily(model, features, 12)[0]
    for cache in (True, False):
        ids = loaded.eval().generate(heard, max_new_tokens=12, use_cache=cache, num_beams=1)
        said = processor.batch_decode(ids, skip_special_tokens=True)[0]
        assert said.strip() == text.decode(without(ours, config)).strip() != ""
    hear = transformers.pipeline("automatic-speech-recognition", model=str(folder))
    raw = {"raw": sound[16000:34000], "sampling_rate": 16000}
    assert hear(raw, generate_kwargs={"max_new_tokens": 12, "num_beams": 1})["text"].strip() == said.strip()
    back, again = read_foreign(folder)
    assert back.config == config and again.decode(again.encode("two three")).strip() == "two three"
    assert spoken_greedily(back, features, 12)[0] == ours


def test_auto_classes_know_them_once_both_are_imported(tmp_path: Path) -> None:
    hf_folder("hubert", tmp_path / "hf", num_hidden_layers=2)
    model, text = read_foreign(tmp_path / "hf")
    small = shrink(model, uneven(model))
    write_hf_ctc(tmp_path / "pruned", small, text, pruned=True)
    code = (
        "import torch, transformers, secateur\n"
        f"model = transformers.AutoModelForCTC.from_pretrained({str(tmp_path / 'pruned')!r})\n"
        "print(type(model).__name__, [layer.attention.num_heads for layer in model.hubert.encoder.layers])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split(maxsplit=1) == ["PrunedHubertForCTC", f"{[w.heads for w in small.config.layers]}\n"]

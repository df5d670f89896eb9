"""The world that the pages' snippets run in: recordings of a few speakers, small random models under known names."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import soundfile
import torch
from small_hf import hf_folder
from small_models import small_tokenizer
from small_moonshine import moonshine_folder
from small_parakeet import parakeet_folder

import secateur
from secateur.audio.read import read_audio
from secateur.data.manifest import Utterance, read_manifest, write_manifest
from secateur.families.whisper.config import uniform
from secateur.families.whisper.model import Whisper
from secateur.models.checkpoint import save_checkpoint
from secateur.text.tokens import Tokens
from secateur.weights.fetch import read_foreign

BUNDLED = Path(secateur.__file__).resolve().parent / "data" / "bundled"
CHINESE = {
    "train": ("我在银行工作", "今天天气很好", "他们在学校看书", "请打开客厅的灯", "明天早上七点叫我"),
    "dev": ("我们在医院工作", "昨天天气不好", "请关上卧室的灯"),
    "test": ("她在银行看书", "明天天气很好", "请打开卧室的灯"),
}
RATE = 16000


def small_whisper_checkpoint(folder: Path, multilingual: bool, bins: int = 80) -> None:
    """A Whisper of two layers a side and random weights, with all special tokens that the published ones have."""
    tokenizer = small_tokenizer()
    end = tokenizer.end
    tokens = Tokens(
        start=end + 1, end=end, no_timestamps=end + 6, timestamps=end + 10, timestamp_count=1501, transcribe=end + 2,
        translate=end + 3, previous=end + 4, no_speech=end + 5, multilingual=multilingual,
        languages={"en": end + 7, "zh": end + 8, "de": end + 9} if multilingual else {},
    )  # fmt: skip
    torch.manual_seed(0)
    config = uniform(
        width=24, heads=3, ffn=32, encoder_layers=2, decoder_layers=2, vocabulary=end + 10 + 1501, tokens=tokens,
        text_context=48, bins=bins, name=folder.name,
    )  # fmt: skip
    model = Whisper(replace(config, padded=False))  # 30 s for every clip of 3 would be most of the time
    with torch.no_grad():  # texts end at once: long nonsense, decoded again at every temperature, would take minutes
        ending = model.decoder.token_embedding.weight[end]
        model.decoder.norm.bias += 25 * ending / ending.square().sum()
    save_checkpoint(folder, model, tokenizer)


def moved(clips: list[Utterance], target: Path, **changes: str) -> None:
    """Copy clips and write their manifest beside them."""
    target.parent.mkdir(parents=True, exist_ok=True)
    for one in clips:
        shutil.copy(one.audio, target.parent / one.audio.name)
    write_manifest(target, [replace(one, audio=target.parent / one.audio.name, **changes) for one in clips])


def make_models(cache: Path) -> None:
    """Whispers by the names of published ones, where fetched models are kept."""
    models = cache / "models"
    for name in ("tiny.en", "base.en", "small.en"):
        small_whisper_checkpoint(models / name, multilingual=False)
    for name in ("tiny", "base", "small"):
        small_whisper_checkpoint(models / name, multilingual=True)
    small_whisper_checkpoint(models / "large-v3-turbo", multilingual=True, bins=128)


def make_published(cache: Path) -> None:
    """Models of `transformers`' classes, under the names that the pages fetch from the hub."""
    models = cache / "models"
    scratch = cache / "published"
    hf_folder("wav2vec2", scratch / "wav2vec2")
    parakeet_folder("parakeet", scratch / "parakeet")
    moonshine_folder(scratch / "moonshine")
    for name, repository in (
        ("wav2vec2", "facebook--wav2vec2-base-960h"),
        ("parakeet", "nvidia--parakeet-ctc-0.6b"),
        ("moonshine", "UsefulSensors--moonshine-tiny"),
    ):
        model, text = read_foreign(scratch / name)
        if name == "moonshine":  # ends its texts at once, too
            with torch.no_grad():
                ending = model.decoder.token_embedding.weight[model.config.tokens.end]
                model.decoder.layers[-1].ffn.down.bias += 1000 * (ending - ending.mean())
        save_checkpoint(models / repository, model, text)


def make_world(folder: Path) -> None:
    """Manifests of disjoint speakers in mine/, general/ and zh/, a recording with subtitles, single files."""
    train = read_manifest(BUNDLED / "train.jsonl")
    dev, test = read_manifest(BUNDLED / "dev.jsonl"), read_manifest(BUNDLED / "test.jsonl")
    people = sorted({one.speaker for one in train})
    mine = [one for one in train if one.speaker in people[:6]]
    moved(mine[:14], folder / "mine" / "train.jsonl")
    moved(dev[:4], folder / "mine" / "dev.jsonl")
    moved(test[:4], folder / "mine" / "test.jsonl")
    moved([one for one in train if one.speaker == people[6]], folder / "general" / "train.jsonl")
    moved([one for one in train if one.speaker == people[7]], folder / "general" / "dev.jsonl")
    for split, clips in (("train", mine[:10]), ("dev", dev[:3]), ("test", test[:3])):
        texts = CHINESE[split]
        some = [replace(one, text=texts[i % len(texts)], language="zh-CN") for i, one in enumerate(clips)]
        moved(some, folder / "zh" / f"{split}.jsonl")
    soundfile.write(folder / "hello.wav", read_audio(dev[0].audio, RATE), RATE)
    soundfile.write(folder / "order.wav", read_audio(dev[0].audio, RATE), RATE)
    for who, clips in (("ann", mine[:3]), ("bob", mine[3:6]), ("cleo", dev[:2]), ("dan", test[:2])):
        subtitled(folder / "recordings" / who, clips)
    (folder / "noise").mkdir()
    hum = 0.05 * np.random.default_rng(0).standard_normal(3 * RATE).astype(np.float32)
    soundfile.write(folder / "noise" / "fan.wav", hum, RATE)
    line = {"id": "fan", "audio": "fan.wav", "duration": 3.0, "text": ""}
    (folder / "noise" / "noise.jsonl").write_text(json.dumps(line) + "\n")


def subtitled(folder: Path, clips: list[Utterance]) -> None:
    """One recording of all clips with pauses, and its subtitles."""
    folder.mkdir(parents=True)
    sound, cues, at = [], [], 0.0
    for number, one in enumerate(clips, 1):
        samples = read_audio(one.audio, RATE)
        end = at + len(samples) / RATE
        cues.append(f"{number}\n{stamp(at)} --> {stamp(end)}\n{one.text}\n")
        sound += [samples, np.zeros(RATE // 2, np.float32)]
        at = end + 0.5
    soundfile.write(folder / "interview.wav", np.concatenate(sound), RATE)
    (folder / "interview.srt").write_text("\n".join(cues))


def stamp(seconds: float) -> str:
    """As SRT writes times."""
    whole = int(seconds)
    return f"00:{whole // 60:02}:{whole % 60:02},{int(1000 * (seconds - whole)):03}"

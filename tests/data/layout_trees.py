"""Small copies of how public sets lie on disk, with sounds of known length."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile


def sound(path: Path, seconds: float = 0.5, rate: int = 16000) -> Path:
    """A tone with noise, different for every path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(sum(str(path).encode()))
    kind = {".sph": "NIST", ".flac": "FLAC", ".wav": "WAV"}[path.suffix]
    soundfile.write(path, random.normal(0, 0.1, round(seconds * rate)).clip(-0.9, 0.9), rate, format=kind)
    return path


def text(path: Path, content: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")
    return path


def librispeech(folder: Path, split: str, speakers: int, first: int = 0) -> Path:
    """Two utterances a speaker."""
    for speaker in range(first, first + speakers):
        place = folder / "LibriSpeech" / split / str(speaker) / "7"
        for take in range(2):
            sound(place / f"{speaker}-7-000{take}.flac", 0.5 + 0.01 * speaker)
        text(place / f"{speaker}-7.trans.txt", f"{speaker}-7-0000 HELLO THERE\n{speaker}-7-0001 IT'S {split.upper()}\n")
    text(folder / "LibriSpeech" / "SPEAKERS.TXT", "; nothing\n")
    return folder


def an4(folder: Path) -> Path:
    rows: dict[str, list[str]] = {"train": [], "test": []}
    for split, where, speakers in (("train", "an4_clstk", "abcdefghij"), ("test", "an4test_clstk", "yz")):
        for speaker in speakers:
            name = f"an1-{speaker}-b"
            sound(folder / "an4" / "wav" / where / speaker / f"{name}.sph")
            rows[split].append(f"<s> GO {speaker.upper()} </s> ({name})" if split == "train" else f"GO ({name})")
        text(folder / "an4" / "etc" / f"an4_{split}.transcription", "\n".join(rows[split]) + "\n")
    return folder


def speech_commands(folder: Path) -> Path:
    for word in ("yes", "no"):
        for speaker in ("aa11", "bb22", "cc33"):
            sound(folder / word / f"{speaker}_nohash_0.wav", 1.0)
    sound(folder / "_background_noise_" / "pink.wav", 2.0)
    text(folder / "validation_list.txt", "yes/bb22_nohash_0.wav\nno/bb22_nohash_0.wav\n")
    text(folder / "testing_list.txt", "yes/cc33_nohash_0.wav\nno/cc33_nohash_0.wav\n")
    return folder


def aishell(folder: Path) -> Path:
    """As it is after the archives of the speakers are unpacked."""
    rows = []
    for split, speaker in (("train", "S0002"), ("dev", "S0724"), ("test", "S0764")):
        name = f"BAC009{speaker}W0121"
        sound(folder / "data_aishell" / "wav" / speaker / split / speaker / f"{name}.wav")
        rows.append(f"{name} 甚至 出现 交易")
    sound(folder / "data_aishell" / "wav" / "S0002" / "train" / "S0002" / "without.wav")
    text(folder / "data_aishell" / "transcript" / "aishell_transcript_v0.8.txt", "\n".join(rows) + "\n")
    return folder

"""Steps 1 and 2: recordings become clean words, words become MFCC features; strings of digits to test on."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import soundfile
from assistant import NOTHING, RATE, WORDS, Floats, cleaned, features, spoken, words_in
from numpy.typing import NDArray

from secateur.audio.arrays import resample
from secateur.audio.read import read_audio
from secateur.base.errors import SecateurError
from secateur.base.files import atomic_path
from secateur.base.progress import track
from secateur.data.manifest import Utterance, read_manifest
from secateur.data.prepare import PrepareSettings, prepare
from secateur.data.recording import Recording

SOURCE = "https://github.com/Jakobovski/free-spoken-digit-dataset"
DEV_TAKES = range(5, 10)  # of every speaker and digit; takes 0 to 4 are the authors' test split
NOISE_PARTS = {"train": (0.0, 0.66), "dev": (0.67, 1.0), "test": (0.0, 1.0)}  # of each noise recording
PAUSES = (0.15, 0.4)  # s, between the digits of a string
SNR_DB = {"quiet": 40.0, "noisy": 15.0, "loud": 5.0}  # of the digit strings


@dataclass(frozen=True)
class Words:
    """What a network learns from, or is tested on."""

    utterances: list[Utterance]  # the digits; noise comes after them and has none
    features: Floats  # (words, 64, 39)
    classes: NDArray[np.int64]  # (words,)


def data_folder() -> Path:
    """`$SECATEUR_DATA`, or `../shared/data` beside the checkout."""
    beside = Path(__file__).resolve().parents[3] / "shared" / "data"
    folder = Path(os.environ.get("SECATEUR_DATA", beside))
    if not (folder / "free-spoken-digits" / "train.jsonl").exists():
        raise SecateurError(f"{folder}: no free-spoken-digits/train.jsonl; set SECATEUR_DATA (the set: {SOURCE})")
    return folder


def prepared(data: Path, work: Path, takes: int | None) -> dict[str, list[Utterance]]:
    """Denoised FLAC at 8 kHz and cleaned texts of all recordings, split by take; `takes` bounds those to train on."""
    splits: dict[str, list[Utterance]] = {"train": [], "dev": []}
    for name in ("train", "test"):
        recordings = [
            Recording(u.id, u.audio, u.text, u.speaker, name, u.language)
            for u in read_manifest(data / "free-spoken-digits" / f"{name}.jsonl")
            if takes is None or take(u.id) < DEV_TAKES.stop + takes
        ]
        settings = PrepareSettings(format="flac", sample_rate=RATE, denoise="spectral")
        splits[name] = prepare(recordings, work / f"{name}.jsonl", settings).utterances
    splits["dev"] = [u for u in splits["train"] if take(u.id) in DEV_TAKES]
    splits["train"] = [u for u in splits["train"] if take(u.id) not in DEV_TAKES]
    return splits


def dataset(
    data: Path, work: Path, takes: int | None, copies: int, pieces: int, rate: int = RATE
) -> tuple[dict[str, Words], dict[str, list[Utterance]]]:
    """Features and recordings of train, dev and test; features are kept in `work` for the next run.

    Words are found at 8 kHz and then brought to `rate`.

    The words to learn from are there once as they are and `copies` times `varied`.
    """
    recordings = prepared(data, work, takes)
    at = "" if rate == RATE else f"-{rate}"
    kept = work / f"features-{len(recordings['train'])}-{copies}-{pieces}{at}.npz"
    if kept.exists():
        arrays = np.load(kept)
        return {
            name: Words(utterances * (1 + copies * (name == "train")), arrays[f"{name}_x"], arrays[f"{name}_y"])
            for name, utterances in recordings.items()
        }, recordings
    found = {}
    for name, utterances in recordings.items():
        more = [varied(utterances, data, seed, rate) for seed in range(copies)] if name == "train" else []
        noise = noises(data, name, pieces if name == "train" else 60, rate)
        found[name] = joined(words(utterances, rate), *more, noise)
    arrays = {f"{name}_{x}": a for name, w in found.items() for x, a in (("x", w.features), ("y", w.classes))}
    with atomic_path(kept) as temporary, temporary.open("wb") as file:
        np.savez(file, **arrays)
    return found, recordings


def take(name: str) -> int:
    """Which of a speaker's recordings of a digit it is: 12 in `7_jackson_12`."""
    return int(name.split("_")[2])


def original(data: Path, name: str) -> Floats:
    """A recording (samples,) as it was before step 1."""
    split = "train" if take(name) >= DEV_TAKES.start else "test"
    return read_audio(data / "free-spoken-digits" / split / f"{name}.opus", RATE)


def words(utterances: list[Utterance], rate: int = RATE) -> Words:
    """Features of single digits."""
    heard = [features(trimmed(read_audio(u.audio, RATE)), rate) for u in utterances]
    return Words(utterances, np.stack(heard), classes(utterances))


def classes(utterances: list[Utterance]) -> NDArray[np.int64]:
    """The digits (utterances,) that were said."""
    return np.array([WORDS.index(u.text) for u in utterances])


def trimmed(audio: Floats) -> Floats:
    """The recording from its first to its last loud stretch."""
    stretches = spoken(audio)
    return audio[stretches[0][0] : stretches[-1][1]] if stretches else audio


def varied(utterances: list[Utterance], data: Path, seed: int = 0, rate: int = RATE) -> Words:
    """The same digits faster or slower, in noise, denoised and cut a little differently: to learn from, not to test."""
    random = np.random.default_rng(seed)
    tracks = noise_tracks(data, "train")
    heard = []
    for utterance in track(utterances, "varying"):
        audio = np.concatenate([pause(random), original(data, utterance.id), pause(random)])
        audio = resample(audio, RATE, RATE / random.uniform(0.85, 1.15))
        word = trimmed(cleaned(mixed(audio, tracks, random.uniform(8, 40), random)))
        early, late = random.integers(0, RATE // 20, 2)
        if len(word) - early - late > RATE // 7:
            word = word[early : len(word) - late]
        heard.append(features(word, rate))
    return Words(utterances, np.stack(heard), classes(utterances))


def noises(data: Path, split: str, count: int, rate: int = RATE) -> Words:
    """Features of so many pieces of background noise, 0.2 to 0.7 s; those of the test are of other recordings."""
    random = np.random.default_rng([ord(letter) for letter in split])
    tracks = noise_tracks(data, split)
    low, high = NOISE_PARTS[split]
    heard = []
    for _ in range(count):
        track = tracks[random.integers(len(tracks))]
        length = int(RATE * random.uniform(0.2, 0.7))
        start = random.integers(int(low * len(track)), int(high * len(track)) - length)
        heard.append(features(cleaned(track[start : start + length]), rate))
    return Words([], np.stack(heard), np.full(len(heard), NOTHING))


@cache
def noise_tracks(data: Path, split: str) -> list[Floats]:
    """The noise recordings of a split, whole; training and development share theirs."""
    wanted = "test" if split == "test" else "train"
    found = read_manifest(data / "noise" / "noise.jsonl")
    return [read_audio(u.audio, RATE) for u in found if u.extras["split"] == wanted]


def mixed(audio: Floats, tracks: list[Floats], snr_db: float, random: np.random.Generator) -> Floats:
    """`audio` (samples,) with a piece of one of `tracks`, `snr_db` below it."""
    noise = tracks[random.integers(len(tracks))]
    start = random.integers(len(noise) - len(audio))
    noise = noise[start : start + len(audio)]
    power = np.mean(np.square(audio)) / 10 ** (snr_db / 10)
    return np.clip(audio + noise * np.sqrt(power / (np.mean(np.square(noise)) + 1e-12)), -1, 1).astype(np.float32)


def pause(random: np.random.Generator) -> Floats:
    """Silence of a random length."""
    return np.zeros(int(RATE * random.uniform(*PAUSES)), np.float32)


def joined(*parts: Words) -> Words:
    """All parts as one set."""
    return Words(
        [u for part in parts for u in part.utterances],
        np.concatenate([part.features for part in parts]),
        np.concatenate([part.classes for part in parts]),
    )


def strings(
    utterances: list[Utterance], data: Path, split: str, condition: str, folder: Path, count: int
) -> list[Utterance]:
    """So many strings of 3 to 6 digits by one speaker, with pauses and background noise, written to `folder`.

    They are put together from the original recordings of `utterances`; the assistant has to clean them itself.
    """
    random = np.random.default_rng([ord(letter) for letter in split + condition])
    tracks = noise_tracks(data, split)
    speakers = sorted({u.speaker for u in utterances})
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    for number in range(count):
        speaker = speakers[number % len(speakers)]
        own = [u for u in utterances if u.speaker == speaker]
        chosen = [own[i] for i in random.choice(len(own), random.integers(3, 7), replace=False)]
        parts = [pause(random)]
        for utterance in chosen:
            parts += [original(data, utterance.id), pause(random)]
        audio = mixed(np.concatenate(parts), tracks, SNR_DB[condition], random)
        path = folder / f"{condition}-{number:03d}.flac"
        soundfile.write(path, audio, RATE)
        made.append(Utterance(path.stem, path, len(audio) / RATE, " ".join(u.text for u in chosen), speaker))
    return made


def string_features(utterances: list[Utterance], kept: Path, rate: int = RATE) -> list[Floats]:
    """What the assistant hears in each recording, as features (words, 64, 39); `kept` for the next run."""
    if not kept.exists():
        found = [words_in(cleaned(read_audio(u.audio, RATE)), rate) for u in track(utterances, "finding words")]
        with atomic_path(kept) as temporary, temporary.open("wb") as file:
            np.savez(file, features=np.concatenate(found), lengths=[len(words) for words in found])
    arrays = np.load(kept)
    return np.split(arrays["features"], np.cumsum(arrays["lengths"])[:-1])

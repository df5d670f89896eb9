"""Makes the small synthetic speech set in src/secateur/data/bundled again: espeak-ng voices read commands of ours.

    apt-get install espeak-ng
    python tools/make_bundled_speech.py

It exists so that every part of the toolkit runs without a network and without recordings. It is not speech: nothing
that is measured on it says anything about people.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from secateur.data.manifest import Utterance, write_manifest

RATE = 16000  # Hz
COMPRESSION = 0.96  # libsndfile's scale for Opus: 6 + 250 * (1 - level) = 16 kbit/s
FOLDER = Path(__file__).resolve().parent.parent / "src" / "secateur" / "data" / "bundled"


@dataclass(frozen=True)
class Voice:
    """An espeak-ng voice with a variant, words a minute, and pitch (0 to 99)."""

    name: str
    espeak: str
    speed: int
    pitch: int


VOICES = {
    "train": (
        Voice("ada", "en-us+f3", 150, 60),
        Voice("ben", "en-us+m3", 165, 35),
        Voice("cleo", "en-gb+f2", 140, 55),
        Voice("dev", "en-gb-x-rp+m1", 155, 45),
        Voice("ella", "en-us+Annie", 160, 65),
        Voice("finn", "en-gb-scotland+m7", 145, 40),
        Voice("kate", "en-gb-x-gbclan+f5", 150, 50),
        Voice("liam", "en-029+m4", 140, 50),
    ),
    "dev": (Voice("gus", "en-us+m6", 150, 30), Voice("hana", "en-gb+f4", 155, 70)),
    "test": (Voice("ivan", "en-us+Michael", 150, 45), Voice("june", "en-gb+Alicia", 145, 60)),
}
# Every voice reads some of its split's texts, no text is in two splits.
TEXTS = {
    "train": (
        "turn on the light in the kitchen", "turn off the heating in the bedroom", "please close the garage door",
        "set a timer for twelve minutes", "what is the weather like tomorrow", "play some quiet music in the office",
        "open the window next to the stairs", "remind me to water the plants at seven", "stop the washing machine now",
        "how many apples are left in the basket", "make the lamp beside the sofa brighter",
        "call my brother when the train arrives", "lock the front door and turn off the lamp",
        "wake me up at half past six on monday", "add bread and butter to the shopping list",
        "the red box is under the wooden table", "read me the first message from my sister",
        "lower the blinds in the living room", "where did you put the small green bottle",
        "we will meet at the station at noon", "the coffee machine needs more clean water",
        "switch the radio to the morning news", "is the back door of the house still open",
        "send the long report to the office today", "start the dishwasher after nine in the evening",
        "show me the way to the nearest pharmacy", "the children are playing in the garden",
        "cancel the meeting on thursday afternoon", "it is too cold in this room",
        "bring the ladder from the cellar please",
    ),
    "dev": (
        "turn the heating up in the bathroom", "what time does the last bus leave", "put milk and eggs on the list",
        "please open the kitchen window a little", "my sister is coming home on sunday",
        "play the next song on the radio", "the key is on the shelf by the door",
        "set an alarm for eight in the morning",
    ),
    "test": (
        "turn off the light next to the bed", "please lock the garage at ten in the evening",
        "how far is it to the railway station", "stop the music and close the blinds",
        "remind me to call the doctor on friday", "there is fresh bread on the kitchen table",
        "is there any milk left in the fridge", "start the coffee machine at seven",
        "my brother put the ladder in the garage", "what is the first message about",
    ),
}  # fmt: skip


def main() -> int:
    """Write the audio and the three manifests."""
    if shutil.which("espeak-ng") is None:
        print("espeak-ng is not installed: apt-get install espeak-ng", file=sys.stderr)
        return 2
    said = subprocess.run(["espeak-ng", "--version"], capture_output=True, text=True, check=True).stdout
    version = f"espeak-ng {said.split(':')[1].split()[0]}"
    for split, texts in TEXTS.items():
        voices = VOICES[split]
        shutil.rmtree(FOLDER / split, ignore_errors=True)
        utterances = []
        for number, text in enumerate(texts):
            voice = voices[number % len(voices)]
            path = FOLDER / split / f"{voice.name}-{number:02}.opus"
            path.parent.mkdir(parents=True, exist_ok=True)
            samples = speak(text, voice)
            soundfile.write(path, samples, RATE, format="OGG", subtype="OPUS", compression_level=COMPRESSION)
            utterances.append(
                Utterance(path.stem, path, len(samples) / RATE, text, voice.name, extras={"synthetic": version})
            )
        write_manifest(FOLDER / f"{split}.jsonl", utterances)
        print(f"{split}: {len(utterances)} clips, {sum(u.duration for u in utterances):.0f} s")
    print(f"{sum(f.stat().st_size for f in FOLDER.rglob('*') if f.is_file()) / 1000:.0f} kB")
    return 0


def speak(text: str, voice: Voice) -> NDArray[np.float32]:
    """`text` in `voice` as samples at `RATE`, a fifth of a second of near-silence around it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "speech.wav"
        settings = ["-v", voice.espeak, "-s", str(voice.speed), "-p", str(voice.pitch)]
        subprocess.run(["espeak-ng", *settings, "-w", str(path), text], check=True)
        samples, rate = soundfile.read(path, dtype="float32")
    samples = soxr.resample(samples, rate, RATE)
    samples *= 0.5 / np.abs(samples).max()
    padded = np.pad(samples, RATE // 5)
    return padded + np.random.default_rng(len(text)).normal(0, 5e-4, len(padded)).astype(np.float32)


if __name__ == "__main__":
    sys.exit(main())

"""`secateur transcribe` on clips with known words, run by the interpreter of a base install: check_words.py [SPEECH].

A clip of the package's own, and one of LibriSpeech (recorded, not synthesised) where the folder SPEECH has it. Prints
what was heard; exit code 1 when a word is wrong.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import secateur

CLIPS = {"gus-00": "bundled/dev.jsonl", "1867-154075-0005": "librispeech-mini/test.jsonl"}


def words(text: str) -> list[str]:
    """Lower-case words without punctuation."""
    return re.sub(r"[^a-z' ]", "", text.lower()).split()


def clips(speech: Path) -> list[tuple[Path, str]]:
    """Audio and text of every clip that is there."""
    found = []
    for name, manifest in CLIPS.items():
        own = Path(secateur.__file__).parent / "data" / manifest
        place = own if own.exists() else speech / manifest
        if place.exists():
            lines = map(json.loads, place.read_text(encoding="utf-8").splitlines())
            found += [(place.parent / line["audio"], line["text"]) for line in lines if line["id"] == name]
    return found


if __name__ == "__main__":
    command = [str(Path(sys.executable).with_name("secateur")), "transcribe"]
    right = True
    for audio, text in clips(Path(sys.argv[1] if len(sys.argv) > 1 else "")):
        heard = subprocess.run([*command, str(audio)], capture_output=True, text=True, check=True).stdout.strip()
        print(f"{audio.stem} '{heard}'", end="; ")
        right &= words(heard) == words(text)
    print("right" if right else "WRONG")
    sys.exit(not right)

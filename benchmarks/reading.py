"""How fast recordings are read, beside faster-whisper's `decode_audio`, in one run on one thread of this CPU.

    python benchmarks/reading.py --peer .../site-packages/faster_whisper/audio.py --out benchmarks/results/reading.json

The peer is one file of the package, which needs PyAV alone; without --peer it is looked for among what is installed.
Every file goes through both in turn, several times, and the least time counts, so whatever else the machine does meets
both; ratios are the figures to trust, milliseconds are this machine's. Both give mono floats at 16 kHz: ours through
soxr (HQ), theirs through FFmpeg's resampler and 16 bits; ours checks besides that the file is whole.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

for _library in ("OMP", "OPENBLAS", "MKL"):
    os.environ[f"{_library}_NUM_THREADS"] = "1"  # read when numpy is loaded

import av  # noqa: E402
import numpy as np  # noqa: E402
import soundfile  # noqa: E402
import soxr  # noqa: E402
from numpy.typing import NDArray  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests" / "audio")]

from conftest import speech_folder  # noqa: E402
from recorded import how  # noqa: E402
from recording_kinds import Made, at_rate, encode  # noqa: E402
from speech_clips import clips  # noqa: E402

from secateur.audio.read import read_audio  # noqa: E402
from secateur.base.files import write_json  # noqa: E402
from secateur.base.progress import track  # noqa: E402

SECONDS = {"a command": 3.0, "half a minute": 30.0, "ten minutes": 600.0}
NO_TABLE = (("write_xing", "0"),)
KINDS = {
    "WAV 16 kHz": Made("wav", "pcm_s16le"), "WAV 48 kHz stereo": Made("wav", "pcm_s16le", 48000, layout="stereo"),
    "FLAC 16 kHz": Made("flac", "flac"), "MP3 44.1 kHz": Made("mp3", "libmp3lame", 44100),
    "MP3 without a table": Made("mp3", "libmp3lame", 44100, options=NO_TABLE), "Opus": Made("ogg", "libopus", 48000),
    "M4A 44.1 kHz": Made("ipod", "aac", 44100), "WebM (Opus)": Made("webm", "libopus", 48000),
    "AAC 16 kHz": Made("adts", "aac"),
}  # fmt: skip
Read = Callable[[str], Any]


def peer_of(path: Path | None) -> Read | None:
    """faster-whisper's function, from its file."""
    if path is None:
        found = importlib.util.find_spec("faster_whisper")
        if found is None or not found.submodule_search_locations:
            return None
        path = Path(found.submodule_search_locations[0]) / "audio.py"
    spec = importlib.util.spec_from_file_location("peer_audio", path)
    if spec is None or spec.loader is None:
        sys.exit(f"{path}: no Python file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    read: Read = module.decode_audio
    return read


def least(readers: dict[str, Read], path: str, rounds: int) -> dict[str, float]:
    """Seconds of the fastest reading by each, in turn."""
    best = dict.fromkeys(readers, float("inf"))
    for _ in range(rounds):
        for name, read in readers.items():
            begun = time.perf_counter()
            read(path)
            best[name] = min(best[name], time.perf_counter() - begun)
    return best


def long_speech(folder: Path, seconds: float) -> NDArray[np.float32]:
    """Real speech, repeated until it is long enough."""
    speech = np.concatenate([audio for audio, _ in clips(folder, "librispeech-mini", 4)])
    return np.resize(speech, round(seconds * 16000)).astype(np.float32)


def main() -> None:
    """Write files, time both, write what came out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", type=Path, help="faster_whisper/audio.py")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    folder = speech_folder()
    if folder is None:
        sys.exit("no real speech: set SECATEUR_DATA")
    readers: dict[str, Read] = {"ours": read_audio}
    peer = peer_of(options.peer)
    if peer is not None:
        readers["faster_whisper"] = peer
    jobs = [(kind, length) for length in SECONDS for kind in KINDS]
    rows = []
    with tempfile.TemporaryDirectory() as place:
        for kind, length in track(jobs, "reading", len(jobs)):
            made, seconds = KINDS[kind], SECONDS[length]
            speech = at_rate(long_speech(folder, seconds), made.rate)
            samples = np.stack([speech, speech], axis=1) if made.layout == "stereo" else speech
            path = Path(place) / f"a.{made.format}"
            path.write_bytes(encode(samples, made))
            found = least(readers, str(path), options.rounds if seconds < 100 else 2)
            row: dict[str, Any] = {"kind": kind, "length": length, "seconds": seconds}
            row |= {f"{name}_ms": round(1000 * value, 2) for name, value in found.items()}
            row["times_real_time"] = round(seconds / found["ours"])
            if peer is not None:
                row["times_faster_whisper"] = round(found["faster_whisper"] / found["ours"], 2)
            rows.append(row)
            print(row, flush=True)
    versions = {
        "python": platform.python_version(), "av": av.__version__, "soundfile": soundfile.__version__,
        "libsndfile": soundfile.__libsndfile_version__, "soxr": soxr.__version__,
    }  # fmt: skip
    if options.out:
        write_json(options.out, {"how": how(), "threads": 1, "versions": versions, "rows": rows})


if __name__ == "__main__":
    main()

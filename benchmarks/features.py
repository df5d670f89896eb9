"""How fast features are in numpy, beside librosa and kaldi-native-fbank, in one run on one thread of this CPU.

    python benchmarks/features.py --out benchmarks/results/features.json

A peer that is not installed is left out (`pip install librosa kaldi-native-fbank`). Every clip goes through every
peer in turn, several times, and the least time counts, so whatever else the machine does meets all of them; ratios are
the figures to trust, milliseconds are this machine's. Short clips are speechocean762 test, long ones librispeech-mini
test, and `1 s` is the start of the short ones: a command.

librosa has no Kaldi features: its log-mel and its MFCC have the same frames, filters and coefficients, and cost what
ours should; the numbers differ. kaldi-native-fbank computes the very same ones, dither off, and hands its frames over
one by one, as it does to all who use it from Python; how far ours are from them is in the last column.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

for _library in ("OMP", "OPENBLAS", "MKL", "NUMBA"):
    os.environ[f"{_library}_NUM_THREADS"] = "1"  # read when numpy is loaded

import numpy as np  # noqa: E402
from numpy.typing import NDArray  # noqa: E402
from recorded import how  # noqa: E402

from secateur.audio.read import read_audio  # noqa: E402
from secateur.base.errors import SecateurError  # noqa: E402
from secateur.base.files import write_json  # noqa: E402
from secateur.base.progress import track  # noqa: E402
from secateur.data.manifest import read_manifest  # noqa: E402
from secateur.features.front_end import (  # noqa: E402
    FrontEnd,
    extract,
    front_end,
)

SETS = {"short": "speechocean762", "long": "librispeech-mini"}
KINDS = {
    "whisper log-mel 80": front_end("whisper"),
    "fbank 80": front_end("fbank"),
    "mfcc 13": front_end("mfcc"),
    "mfcc 39": front_end("mfcc", deltas=2),
    "fbank, 20 of 80 kept": front_end("fbank", kept=tuple(range(20))),
}
Features = Callable[[NDArray[np.float32]], NDArray[Any]]


def librosa_features(wanted: FrontEnd) -> Features:
    """The nearest that librosa has: (samples,) -> (features, frames)."""
    import librosa

    size = wanted.window if wanted.kind == "whisper" else 512
    frame = {"sr": wanted.sample_rate, "n_fft": size, "win_length": wanted.window, "hop_length": wanted.hop}

    def log_mel(audio: NDArray[np.float32]) -> NDArray[Any]:
        power = librosa.feature.melspectrogram(y=audio, n_mels=wanted.bins, htk=wanted.kind != "whisper", **frame)
        return np.asarray(np.log(np.maximum(power, 1e-10)))

    def mfcc(audio: NDArray[np.float32]) -> NDArray[Any]:
        found = librosa.feature.mfcc(
            y=audio, n_mfcc=wanted.coefficients, n_mels=wanted.bins, lifter=wanted.lifter, htk=True, **frame
        )
        deltas = [librosa.feature.delta(found, width=5, order=n) for n in range(1, wanted.deltas + 1)]
        return np.concatenate([found, *deltas])

    return mfcc if wanted.kind == "mfcc" else log_mel


def kaldi_features(wanted: FrontEnd) -> Features:
    """kaldi-native-fbank under the same options: (samples,) -> (frames, features)."""
    import kaldi_native_fbank as knf

    options = knf.MfccOptions() if wanted.kind == "mfcc" else knf.FbankOptions()
    options.frame_opts.dither, options.frame_opts.samp_freq = 0.0, wanted.sample_rate
    options.mel_opts.num_bins, options.use_energy = wanted.bins, wanted.energy
    computer_of = knf.OnlineMfcc if wanted.kind == "mfcc" else knf.OnlineFbank
    if wanted.kind == "mfcc":
        options.num_ceps, options.cepstral_lifter = wanted.coefficients, wanted.lifter
    deltas = knf.DeltaOptions()
    deltas.order, deltas.window = wanted.deltas, 2

    def features(audio: NDArray[np.float32]) -> NDArray[Any]:
        computer = computer_of(options)
        computer.accept_waveform(wanted.sample_rate, audio * np.float32(wanted.full_scale))
        computer.input_finished()
        found = np.array([computer.get_frame(i) for i in range(computer.num_frames_ready)])
        found = knf.compute_deltas(deltas, found) if wanted.deltas else found
        return np.asarray(found if wanted.kept is None else found[:, wanted.kept])

    return features


def measure(clips: list[NDArray[np.float32]], label: str, repeats: int) -> list[dict[str, Any]]:
    """One row a kind of features: milliseconds a second of audio of ours and of each peer, and the ratios."""
    installed = [name for name in ("librosa", "kaldi_native_fbank") if importlib.util.find_spec(name)]
    seconds = sum(map(len, clips)) / 16000
    rows = []
    for kind, wanted in KINDS.items():
        peers: dict[str, Features] = {"ours": lambda audio, wanted=wanted: extract(audio, wanted)}  # type: ignore[misc]
        if "librosa" in installed:
            peers["librosa"] = librosa_features(wanted)
        if "kaldi_native_fbank" in installed and wanted.kind != "whisper":
            peers["kaldi"] = kaldi_features(wanted)
        total = dict.fromkeys(peers, 0.0)
        away = 0.0
        for clip in track(clips, f"{label}, {kind}"):
            least = dict.fromkeys(peers, float("inf"))
            found = {name: features(clip) for name, features in peers.items()}  # tables and buffers are warm
            for _ in range(repeats):
                for name, features in peers.items():
                    start = time.perf_counter()
                    features(clip)
                    least[name] = min(least[name], time.perf_counter() - start)
            for name in peers:
                total[name] += least[name]
            if "kaldi" in found:
                away = max(away, float(np.linalg.norm(found["ours"] - found["kaldi"]) / np.linalg.norm(found["kaldi"])))
        row: dict[str, Any] = {"clips": label, "features": kind, "seconds_per_clip": round(seconds / len(clips), 2)}
        row |= {f"{name}_ms_per_s": round(1000 * total[name] / seconds, 4) for name in peers}
        row |= {f"times_{name}": round(total[name] / total["ours"], 2) for name in peers if name != "ours"}
        if "kaldi" in found:
            row["relative_difference_to_kaldi"] = float(f"{away:.1e}")
        rows.append(row)
    return rows


def table(rows: list[dict[str, Any]]) -> str:
    """Rows as a Markdown table; what a row has not is a dash."""
    keys = list(dict.fromkeys(key for row in rows for key in row))
    lines = ["| " + " | ".join(keys) + " |", "|" + "---|" * len(keys)]
    return "\n".join(lines + ["| " + " | ".join(str(row.get(key, "-")) for key in keys) + " |" for row in rows])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("SECATEUR_DATA", "../shared/data")))
    parser.add_argument("--clips", type=int, nargs=2, default=(40, 12), metavar=("SHORT", "LONG"))
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--out", type=Path, help="write everything as JSON here")
    options = parser.parse_args()

    if not (options.data / SETS["short"]).is_dir():
        raise SecateurError(f"{options.data}: no speech sets here; name their folder with --data or SECATEUR_DATA")
    groups = {}
    for (label, name), count in zip(SETS.items(), options.clips, strict=True):
        every = read_manifest(options.data / name / "test.jsonl")
        chosen = every[:: max(1, len(every) // count)][:count]
        groups[f"{label} ({name})"] = [read_audio(one.audio, 16000) for one in chosen]
    short = next(iter(groups.values()))
    groups = {"1 s": [clip[:16000] for clip in short if len(clip) >= 16000], **groups}
    rows = [row for label, clips in groups.items() for row in measure(clips, label, options.repeats)]
    print(table(rows))
    if options.out:
        versions = {"python": platform.python_version(), "numpy": np.__version__}
        for name in ("librosa", "kaldi_native_fbank"):
            if importlib.util.find_spec(name):
                versions[name] = importlib.import_module(name).__version__
        write_json(options.out, {"how": how(), "threads": 1, "versions": versions, "rows": rows})


if __name__ == "__main__":
    try:
        main()
    except SecateurError as problem:
        sys.exit(f"features.py: {problem}")

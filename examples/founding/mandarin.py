"""Mandarin by its sound: texts become pinyin, a GoogLeNet and a recurrent layer learn to write it, and are pruned.

The feature network is that of the digits without the mean over time, so that it writes a line and not one word: CTC
(Graves et al. 2006) over initials and finals without tones.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from assistant import RATE, Floats, features, load
from learn import warmed
from measure import kept_run
from numpy.typing import NDArray

from secateur.audio.read import read_audio
from secateur.base.errors import SecateurError
from secateur.base.files import atomic_path, write_json
from secateur.base.progress import track
from secateur.data.manifest import Utterance, evenly, read_manifest
from secateur.data.prepare import PrepareSettings, prepare
from secateur.data.recording import Recording
from secateur.decode.ctc.words import greedy
from secateur.evaluate.error_rate import count_errors
from secateur.keras import Pruner
from secateur.keras.export import export
from secateur.keras.models import BLOCKS, googlenet_mfcc
from secateur.text.pinyin_units import spelled

SET = "commonvoice-zh-cn"
SHORTEST, LONGEST = 1.5, 4.0  # s, of a recording
FRAMES = round(100 * LONGEST)
TONES = "12345"


@dataclass(frozen=True)
class Lines:
    """Recordings of whole sentences, as a network takes them."""

    utterances: list[Utterance]
    features: Floats  # (recordings, 400, 39)
    pinyin: list[list[str]]  # initials and finals, without tones


def lines(data: Path, work: Path, count: int) -> dict[str, Lines]:
    """Prepared recordings of train, dev and test: so many of train, a fifth of that (20 at least) of the others."""
    if not (data / SET / "train.jsonl").exists():
        raise SecateurError(f"{data}: no {SET}/train.jsonl; --mandarin 0 leaves it out")
    result = {}
    for split in ("train", "dev", "test"):
        fitting = [u for u in read_manifest(data / SET / f"{split}.jsonl") if SHORTEST <= u.duration <= LONGEST]
        chosen = evenly(fitting, count if split == "train" else max(count // 5, 20))
        recordings = [Recording(u.id, u.audio, u.text, u.speaker, split, "zh") for u in chosen]
        settings = PrepareSettings(format="flac", sample_rate=RATE, denoise="spectral")
        utterances = prepare(recordings, work / f"zh-{split}.jsonl", settings).utterances
        result[split] = Lines(utterances, _features(utterances, work / f"zh-{split}-{count}.npz"), _spelled(utterances))
    return result


def _features(utterances: list[Utterance], kept: Path) -> Floats:
    if not kept.exists():
        found = np.stack([
            features(read_audio(u.audio, RATE), frames=FRAMES) for u in track(utterances, "MFCC of Mandarin")
        ])  # fmt: skip
        with atomic_path(kept) as temporary, temporary.open("wb") as file:
            np.savez(file, features=found)
    return np.asarray(np.load(kept)["features"])


def _spelled(utterances: list[Utterance]) -> list[list[str]]:
    return [[name.rstrip(TONES) for name in spelled(u.text)] for u in utterances]


def network(units: int, frames: int, features: int, blocks: int = len(BLOCKS)) -> Any:
    """From MFCC (batch, frames, features) to logits (batch, frames / 4, units + 1), number 0 being the blank; with
    fewer than three Inception blocks (batch, frames / 2, units + 1)."""
    trunk = googlenet_mfcc((frames, features), 2, blocks=BLOCKS[:blocks])
    x = keras.layers.Bidirectional(keras.layers.GRU(64, return_sequences=True), name="context")(
        trunk.get_layer(f"inception{blocks}").output
    )
    x = keras.layers.Dropout(0.2, name="drop")(x)
    return keras.Model(trunk.input, keras.layers.Dense(units + 1, name="units")(x), name="pinyin")


def learned(
    parts: dict[str, Lines], names: list[str], remove: float, *, blocks: int, epochs: int, batch_size: int, seed: int
) -> Any:
    """A network trained from scratch, pruned while it learns where `remove` is a share."""
    keras.utils.set_random_seed(seed)
    train, dev = parts["train"], parts["dev"]
    model = network(len(names), *train.features.shape[1:], blocks)
    steps = epochs * -(-len(train.features) // batch_size)
    model.compile(keras.optimizers.Adam(warmed(3e-3, steps), clipnorm=5.0), keras.losses.CTC(), jit_compile=False)
    pruner = Pruner(remove, begin=0.3, end=0.8) if remove else None
    longest = max(len(line) for part in (train, dev) for line in part.pinyin)  # one size for TensorFlow's graphs
    model.fit(
        train.features, targets(train, names, longest), epochs=epochs, batch_size=batch_size, verbose=2,
        validation_data=(dev.features, targets(dev, names, longest)), callbacks=[pruner] if pruner else [],
    )  # fmt: skip
    return pruner.shrunk() if pruner else model


def targets(part: Lines, names: list[str], longest: int) -> NDArray[np.int32]:
    """Numbers of the units (recordings, longest), 0 after the end; units that no training text has are left out."""
    known = {name: number for number, name in enumerate(names, 1)}
    rows = [[known[name] for name in line if name in known] for line in part.pinyin]
    result = np.zeros((len(rows), longest), np.int32)
    for row, numbers in zip(result, rows, strict=True):
        row[: len(numbers)] = numbers
    return result


def measured(
    parts: dict[str, Lines], arms: dict[str, float], seeds: int, work: Path, **training: int
) -> dict[str, Any]:
    """Every arm learned, exported and tested with its exported file: errors of initials and finals a recording."""
    names = sorted({name for line in parts["train"].pinyin for name in line})
    test, runs = parts["test"], {arm: [] for arm in arms}  # type: ignore[var-annotated]
    for seed in range(seeds):
        for arm, remove in arms.items():
            started = time.time()
            path = work / (f"pinyin-{arm}.onnx" if seed == 0 else f"pinyin-{arm}-{seed}.onnx")
            about = {"remove": remove, "clips": len(parts["train"].utterances), "training": training}
            about["backend"] = keras.backend.backend()
            run = kept_run(path, about)
            if run is not None:
                runs[arm].append(run)
                continue
            model = learned(parts, names, remove, seed=seed, **training)
            model.save(path.with_suffix(".keras"))
            exported = export(model, path, samples=test.features[:2])
            heard = [[names[i - 1] for i in greedy(one)] for one in load(path)(test.features)]
            errors = [count_errors(" ".join(a), " ".join(b)) for a, b in zip(test.pinyin, heard, strict=True)]
            run = {
                **about, "seed": seed, "parameters": model.count_params(), "bytes": exported.bytes,
                "export_difference": exported.max_difference, "errors": [e.errors for e in errors],
                "heard": [" ".join(line) for line in heard], "seconds": round(time.time() - started, 1),
            }  # fmt: skip
            write_json(path.with_suffix(".json"), run, indent=1)
            runs[arm].append(run)
    return {
        "arms": runs, "units": len(names), "train": len(parts["train"].utterances),
        "references": [" ".join(line) for line in test.pinyin], "texts": [u.text for u in test.utterances],
        "speakers": [u.speaker for u in test.utterances], "words": [len(line) for line in test.pinyin],
    }  # fmt: skip

"""What a network reads of a word: the features that matter, at the sample rate that is enough.

Both choices are made on development words, with the unpruned network.
"""

from __future__ import annotations

from pathlib import Path

import keras
from assistant import FRONT_END, WORDS
from speech import Words

from secateur.keras import Recordings, sensitivity
from secateur.prune.sensitivity_map import SensitivityMap, read_map

STATICS = FRONT_END.statics
BLOCKS = {
    "deltas": range(STATICS, 2 * STATICS),
    "delta-deltas": range(2 * STATICS, 3 * STATICS),
    "all deltas": range(STATICS, 3 * STATICS),
    **{f"mfcc {i} and its deltas": (i, STATICS + i, 2 * STATICS + i) for i in range(STATICS)},
}


def single(words: Words) -> Recordings:
    """Single digits, and noises that say nothing."""
    speakers = [u.speaker for u in words.utterances]
    speakers += ["noise"] * (len(words.classes) - len(speakers))
    return Recordings(words.features, words.classes, speakers=speakers)


def what_matters(saved: Path, dev: Words, out: Path) -> SensitivityMap:
    """Every unit group, branch, layer, coefficient and derivative of a saved network removed once; map and page are
    written to `out`, and are not made again while the network is the same."""
    written = out / "map.json"
    if written.exists() and written.stat().st_mtime > saved.stat().st_mtime:
        return read_map(written)
    return sensitivity(
        keras.models.load_model(saved), single(dev), words=(*WORDS, ""), blocks=BLOCKS, criterion="taylor", out=out,
        data="free-spoken-digits/dev takes",
    )  # fmt: skip


def kept_features(found: SensitivityMap, delete: int) -> tuple[int, ...]:
    """All features of a frame but the `delete` ones without which the loss rises least, or falls."""
    change = {int(m.site[6:-1]): m.loss.delta for m in found.sites if m.site.startswith("input[") and m.loss}
    return tuple(sorted(sorted(change, key=lambda feature: change[feature])[delete:]))

"""What matters in the digits' network: every unit group, branch, layer, MFCC coefficient and derivative, taken away.

    KERAS_BACKEND=tensorflow python examples/founding/sensitive.py            # learns the dense network first
    KERAS_BACKEND=torch python examples/founding/sensitive.py                 # measures the same network again

Word errors are of strings of development digits in noise, the loss of single development digits: choices may follow.
The map, table, picture and page are left in the --work folder, by backend.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import keras
import numpy as np
from assistant import WORDS
from inputs import BLOCKS, single
from learn import ARMS, learned
from speech import SNR_DB, data_folder, dataset, string_features, strings

from secateur.data.manifest import Utterance
from secateur.keras import Recordings, sensitivity


def main() -> None:
    """Learn or load, measure, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--work", type=Path, default=Path("runs/founding"))
    parser.add_argument("--takes", type=int, help="how many recordings of each digit by each speaker to learn from")
    parser.add_argument("--copies", type=int, default=1)
    parser.add_argument("--noises", type=int, default=600)
    parser.add_argument("--strings", type=int, default=120, help="of digits, for each loudness of noise")
    options = parser.parse_args()
    data, work = data_folder(), options.work
    words, recordings = dataset(data, work, options.takes, options.copies, options.noises)
    saved = work / "dense.keras"
    if not saved.exists():
        learned(words["train"], words["dev"], ARMS["dense"], seed=0).save(saved)
    network = keras.models.load_model(saved)
    found = sensitivity(
        network, single(words["dev"]), spoken(recordings["dev"], data, work, options.strings), words=(*WORDS, ""),
        blocks=BLOCKS, criterion="taylor", out=work / f"map-{keras.backend.backend()}",
        data="free-spoken-digits/dev takes, strings in noise",
    )  # fmt: skip
    print(f"{len(found.sites)} sites in {found.seconds} s, WER {100 * found.error:.2f} %, loss {found.loss:.4f}")


def spoken(utterances: list[Utterance], data: Path, work: Path, count: int) -> Recordings:
    """Strings of digits, as the assistant cuts them."""
    said, rows, owner = [], [], []
    for name in SNR_DB:
        part = strings(utterances, data, "dev", name, work / "strings-dev", count)
        for one in string_features(part, work / f"strings-dev-{name}-{count}.npz"):
            rows.append(one)
            owner += [len(rows) - 1] * len(one)
        said += part
    return Recordings(
        np.concatenate(rows), owner=np.array(owner), texts=[u.text for u in said], speakers=[u.speaker for u in said]
    )


if __name__ == "__main__":
    main()

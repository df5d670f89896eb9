"""One backend's map of a small network, beside what is found by hand: `python keras_sensitivity_small.py FOLDER`."""

from __future__ import annotations

import io
import json
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import layers

from secateur.base.errors import SecateurError
from secateur.cli import main
from secateur.keras import Recordings, doctor, prune, sensitivity
from secateur.keras.masks import masked_model
from secateur.keras.structure import structure_of
from secateur.prune.sensitivity_map import read_map, unit_scores

FRAMES, FEATURES, WORDS = 12, 6, ("yes", "no", "")


def residual() -> Any:
    """Units that a kernel has along both of its dimensions."""
    inputs = keras.Input((8,))
    x = layers.Dense(6)(inputs)
    return keras.Model(inputs, layers.Dense(2)(layers.Add()([x, layers.Dense(6)(x)])))


def network() -> Any:
    """Two branches, trained a little."""
    keras.utils.set_random_seed(0)
    x = inputs = keras.Input((FRAMES, FEATURES))
    parts = [layers.Conv1D(6, n, padding="same", activation="relu", name=f"block_{n}")(x) for n in (1, 3)]
    x = layers.Concatenate(name="block")(parts)
    x = layers.GlobalAveragePooling1D()(x)
    x = layers.Dense(8, activation="relu", name="hidden")(x)
    model = keras.Model(inputs, layers.Dense(len(WORDS), activation="softmax", name="out")(x), name="small")
    model.compile(keras.optimizers.Adam(0.02), "sparse_categorical_crossentropy")
    x, y = task(96)
    model.fit(x, y, epochs=12, batch_size=16, verbose=0)
    return model


def task(rows: int, seed: int = 0) -> tuple[Any, Any]:
    random = np.random.default_rng(seed)
    y = random.integers(0, len(WORDS), rows)
    x = random.standard_normal((rows, FRAMES, FEATURES)).astype("float32")
    x[np.arange(rows), :, y] += 0.7
    return x, y


def by_hand(model: Any, structure: Any, group: str, gone: list[int], single: Recordings, said: Recordings) -> Any:
    """Loss and words wrong of a masked copy."""
    units = {g.name: g.units for g in structure.groups}
    keep = {group: [u for u in range(units[group]) if u not in gone]} if group else {}
    copy = masked_model(model, structure, keep)
    outputs, rows = (np.asarray(keras.ops.convert_to_numpy(copy(s.features, training=False))) for s in (single, said))
    loss = -np.log(outputs[np.arange(len(outputs)), single.classes]).mean()
    heard: list[list[str]] = [[] for _ in said.texts or ()]
    for owner, one in zip(said.owners, rows.argmax(1), strict=True):
        heard[owner] += [WORDS[one]] if WORDS[one] else []
    return float(loss), [" ".join(words) for words in heard]


def run(folder: Path) -> dict[str, Any]:
    model = network()
    before = [w.copy() for w in model.get_weights()]
    x, y = task(60, 1)
    single = Recordings(x, y, speakers=[f"s{i % 8}" for i in range(60)])
    rows, labels = task(72, 2)
    owner = np.arange(72) // 3
    texts = [" ".join(WORDS[k] for k in labels[owner == i] if WORDS[k]) or "no" for i in range(24)]
    said = Recordings(rows, owner=owner, texts=texts, speakers=[f"s{i % 8}" for i in range(24)])
    blocks = {"heard": (0, 1, 2), "unheard": (3, 4, 5)}
    found = sensitivity(model, single, said, words=WORDS, criterion="signed", blocks=blocks, out=folder / "map")
    structure = structure_of(model)
    loss, heard = by_hand(model, structure, "", [], single, said)
    hand = {}
    for site in found.sites[::3]:
        for group, gone in site.removed().items():
            hand[site.name] = by_hand(model, structure, group, gone, single, said)[0] - loss
    np.savez(folder / "single.npz", features=x, classes=y, speakers=single.speakers, words=WORDS)
    np.savez(folder / "said.npz", features=rows, owner=owner, texts=texts, speakers=said.speakers, words=WORDS)
    plain = keras.models.clone_model(model)  # never compiled
    plain.set_weights(model.get_weights())
    plain.save(folder / "small.keras")
    command = ["sensitivity", str(folder / "small.keras"), "--data", f"{folder}/single.npz,{folder}/said.npz"]
    code = main([*command, "--sites", "branch,hidden", "--out", str(folder / "again")])
    again = read_map(folder / "again")
    with redirect_stdout(io.StringIO()) as shown:
        codes = [main(["doctor", str(folder / "small.keras")]), main(["doctor", str(folder / "none.keras")])]
    codes.append(main([*command, "--limit", "3", "--out", str(folder / "refused")]))
    texts_only = ["sensitivity", str(folder / "small.keras"), "--data", f"{folder}/said.npz", "--sites", "hidden"]
    codes.append(main([*texts_only, "--out", str(folder / "texts")]))
    small = prune(model, {"block_3": 0.17}, criterion="sensitivity", measured=folder / "map")
    kernels = [model.get_layer("block_3").get_weights()[0], small.get_layer("block_3").get_weights()[0]]
    left = [u for u in range(6) if any(np.allclose(kernels[0][..., u], k) for k in np.moveaxis(kernels[1], -1, 0))]
    lowest = int(unit_scores(found, "block_3", 6).argmin())
    try:
        prune(model, 0.5, criterion="sensitivity")
        message = ""
    except SecateurError as problem:
        message = str(problem)
    return {
        "untouched": all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True)),
        "loss": [found.loss, loss], "heard": heard, "texts": texts, "error": found.error,
        "words": sum(len(t.split()) for t in texts),
        "sites": {
            s.name: [s.kind, s.layer, s.part, s.parameters, s.macs, s.loss and s.loss.delta, s.error and s.error.delta]
            for s in found.sites
        },
        "hand": hand, "code": code, "message": message, "left": left, "lowest": lowest,
        "again": {s.name: s.loss and s.loss.delta for s in again.sites},
        "files": sorted(p.name for p in (folder / "map").iterdir()),
        "doctor": shown.getvalue(), "codes": codes, "by": read_map(folder / "texts").criterion,
        "tied": [one.parameters for one in doctor(residual()).prunable],
        "smaller": small.count_params() / model.count_params(),
    }  # fmt: skip


if __name__ == "__main__":
    where = Path(sys.argv[1])
    (where / "found.json").write_text(json.dumps(run(where)))

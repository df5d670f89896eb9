"""Spoken digits from recordings to an assistant that answers: read this file from top to bottom, then run it.

    KERAS_BACKEND=tensorflow python examples/founding/run.py          # or torch; minutes on two cores

It prints what it finds and leaves dense.onnx, pruned.onnx, pruned.tflite, pruned_saved_model and pruned.keras in the
--work folder.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from assistant import NOTHING, Floats, Model, answer, digits, load
from learn import ARMS, PRUNED, Recipe, learned
from measure import agreement, heard_strings, milliseconds, recognised_words, string_errors
from speech import SNR_DB, Words, data_folder, dataset, string_features, strings

from secateur.base.files import write_json
from secateur.data.manifest import Utterance
from secateur.keras.export import export


@dataclass(frozen=True)
class Speech:
    """Everything that is heard: single words by split, and the test's strings of digits by loudness of the noise."""

    words: dict[str, Words]
    said: dict[str, list[Utterance]]
    strings: dict[str, list[Floats]]  # features (words, 64, 39) of each


def main() -> None:
    """All steps."""
    options = arguments()
    work = options.work

    # 1. and 2. Prepare: denoise the recordings, clean the texts, cut the pauses; MFCC features of every word.
    speech = prepared(work, options.takes, options.copies, options.strings, options.noises)
    print(f"1, 2: {', '.join(f'{name} {s.features.shape}' for name, s in speech.words.items())}")

    # 3. to 6. Learn, once with all units and once while units are removed: same data, same seed, same steps. Export,
    # test the exported files.
    recipes = {"dense": ARMS["dense"], "pruned": replace(ARMS["dense"], remove=options.remove)}
    networks, found = {}, {}
    for arm, recipe in recipes.items():
        recipe = replace(recipe, epochs=options.epochs, batch_size=options.batch_size)
        networks[arm], found[arm] = learned_and_tested(speech, recipe, options.seed, work / f"{arm}.onnx")
        print(f"3-6: {summary(arm, found[arm], speech)}")
    times = milliseconds({arm: load(work / f"{arm}.onnx") for arm in recipes}, speech.words["test"].features[:1])
    print(f"6: {', '.join(f'{arm} {time:.2f}' for arm, time in times.items())} ms a word")

    # 5. again: other formats, each compared with its network; another Keras backend must agree, too.
    networks["pruned"].save(work / "pruned.keras")
    for kind, name in (("litert", "pruned.tflite"), ("saved_model", "pruned_saved_model"))[: options.formats]:
        done = export(networks["pruned"], work / name, kind)
        print(f"5: {name}, {done.bytes} bytes, differs from Keras by {done.max_difference:.1g}")
    other, distance = agreement(work / "pruned.keras", networks["pruned"], speech.words["dev"].features)
    print(f"5: {other} differs by {distance:.1g}")

    # 7. Ask the assistant.
    model = load(work / "pruned.onnx")
    for said, string in list(zip(speech.said["quiet"], speech.strings["quiet"], strict=True))[: options.ask]:
        print(f"7: {said.text} -> {answer(digits(model, string))}")
    if options.result:
        write_json(options.result, {"arms": found, "milliseconds": times, "agreement": distance}, indent=1)


def prepared(work: Path, takes: int | None = None, copies: int = 1, count: int = 120, noises: int = 600) -> Speech:
    """Steps 1 and 2; what is made is kept in `work` for the next run."""
    data = data_folder()
    words, recordings = dataset(data, work, takes, copies, noises)
    said = {name: strings(recordings["test"], data, "test", name, work / "strings", count) for name in SNR_DB}
    features = {name: string_features(u, work / f"strings-{name}-{count}.npz") for name, u in said.items()}
    return Speech(words, said, features)


def learned_and_tested(speech: Speech, recipe: Recipe, seed: int, path: Path) -> tuple[Any, dict[str, Any]]:
    """Steps 3 to 6 of one arm: the network, and what its exported file at `path` hears."""
    started = time.time()
    network = learned(speech.words["train"], speech.words["dev"], recipe, seed)
    seconds = round(time.time() - started, 1)
    exported = export(network, path)
    model = load(path)
    heard = {name: " ".join(heard_strings(model, s)) for name, s in speech.strings.items()}
    test = speech.words["test"]
    return network, {
        "parameters": network.count_params(), "bytes": exported.bytes, "steps": recipe.steps(speech.words["train"]),
        "seconds": seconds, "export_difference": exported.max_difference, "dev": accuracy(model, speech.words["dev"]),
        "test": accuracy(model, test), "noise": accuracy(model, test, noise=True),
        "heard": {"words": " ".join(recognised_words(model, test)), **heard},
    }  # fmt: skip


def accuracy(model: Model, words: Words, noise: bool = False) -> float:
    """Share of single digits, or of noises, that the model puts in the right class."""
    chosen = (words.classes == NOTHING) == noise
    return float(np.mean(model(words.features[chosen]).argmax(1) == words.classes[chosen]))


def summary(arm: str, found: dict[str, Any], speech: Speech) -> str:
    """One line."""
    rates = ", ".join(
        f"{name} {100 * string_errors(u, found['heard'][name].split()).rate:.2f} %" for name, u in speech.said.items()
    )
    return (
        f"{arm}: {found['parameters']} parameters after {found['steps']} steps, {100 * found['test']:.2f} % of words "
        f"right, {100 * found['noise']:.0f} % of noises ignored, WER of strings: {rates}"
    )


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--work", type=Path, default=Path("runs/founding"), help="folder for everything that is made")
    parser.add_argument("--epochs", type=int, default=Recipe.epochs)
    parser.add_argument("--batch-size", type=int, default=Recipe.batch_size)
    parser.add_argument("--remove", type=float, default=PRUNED, help="share of the parameters, 0 to 1")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--takes", type=int, help="how many recordings of each digit by each speaker to learn from")
    parser.add_argument("--copies", type=int, default=1, help="how often each is heard again, varied")
    parser.add_argument("--noises", type=int, default=600, help="pieces of noise that are no digit, to learn from")
    parser.add_argument("--strings", type=int, default=120, help="how many strings of digits to test on")
    parser.add_argument("--ask", type=int, default=3, help="how many strings the assistant answers to")
    parser.add_argument("--formats", type=int, default=2, help="of LiteRT and SavedModel, how many are written too")
    parser.add_argument("--result", type=Path, help="a JSON file for what was found")
    return parser.parse_args(given)


if __name__ == "__main__":
    main()

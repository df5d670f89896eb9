"""Spoken digits from recordings to an assistant that answers: read this file from top to bottom, then run it.

    KERAS_BACKEND=tensorflow python examples/founding/run.py          # or torch; about 3 minutes on two cores

It prints what it finds and leaves dense.onnx, pruned.onnx and pruned.keras in the --work folder.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np
from assistant import NOTHING, answer, cleaned, digits, load
from learn import Recipe, learned, pruned
from measure import STRING_SETS, agreement, heard_strings, heard_words, milliseconds, string_errors, versions
from speech import RATE, data_folder, dataset, read_audio, strings

from secateur.base.files import write_json
from secateur.keras.export import export


def main() -> None:
    """All steps."""
    options = arguments()
    data, work, recipe = data_folder(), options.work, Recipe(epochs=options.epochs, remove=options.remove)
    started = time.time()

    # 1. and 2. Prepare: denoise the recordings, clean the texts, cut the pauses; MFCC features of every word.
    words, recordings = dataset(data, work, options.takes, options.copies)
    print(f"1, 2: {', '.join(f'{name} {s.features.shape}' for name, s in words.items())}")

    # 3. and 4. Learn, once with all units and once while units are removed: same data, same seed, same steps.
    networks, seconds = {}, {}
    for arm, learn in (("dense", learned), ("pruned", pruned)):
        before = time.time()
        networks[arm] = learn(words["train"], words["dev"], recipe, options.seed)
        seconds[arm] = round(time.time() - before, 1)
        print(f"3, 4: {arm} has {networks[arm].count_params()} parameters after {recipe.steps(words['train'])} steps")

    # 5. Export, which compares each file with its network; another Keras backend must agree, too.
    networks["pruned"].save(work / "pruned.keras")
    exported = {arm: export(network, work / f"{arm}.onnx") for arm, network in networks.items()}
    other, distance = agreement(work / "pruned.keras", networks["pruned"], words["dev"].features)
    print(f"5: pruned.onnx differs from Keras by {exported['pruned'].max_difference:.1g}, {other} by {distance:.1g}")

    # 6. Test the exported files: single words, noise that is no digit, strings of digits; then time them.
    test, dev = words["test"], words["dev"]
    count, folder = options.strings, work / "strings"
    said = {name: strings(recordings["test"], data, "test", name, folder, count) for name in STRING_SETS}
    models = {arm: load(work / f"{arm}.onnx") for arm in networks}
    times = milliseconds(models, test.features[:1])
    arms: dict[str, dict[str, Any]] = {}
    for arm, model in models.items():
        arms[arm] = {
            "parameters": networks[arm].count_params(), "bytes": exported[arm].bytes, "milliseconds": times[arm],
            "seconds": seconds[arm], "export_difference": exported[arm].max_difference,
            "dev": accuracy(model, dev), "test": accuracy(model, test), "noise": accuracy(model, test, noise=True),
        }  # fmt: skip
        heard = {name: heard_strings(model, utterances) for name, utterances in said.items()}
        arms[arm]["heard"] = {name: " ".join(h) for name, h in {"words": heard_words(model, test), **heard}.items()}
        rates = ", ".join(f"{name} {100 * string_errors(u, heard[name]).rate:.2f} %" for name, u in said.items())
        print(
            f"6: {arm}: {100 * arms[arm]['test']:.2f} % of words right, {100 * arms[arm]['noise']:.0f} % of noises "
            f"ignored, WER of strings: {rates}; {times[arm]:.2f} ms a word"
        )

    # 7. Ask the assistant.
    for string in said["quiet"][: options.ask]:
        print(f"7: {string.text} -> {answer(digits(models['pruned'], cleaned(read_audio(string.audio, RATE))))}")

    if options.result:
        kept = {
            "command": f"KERAS_BACKEND={keras.backend.backend()} python examples/founding/run.py "
            f"--seed {options.seed} --epochs {options.epochs} --remove {options.remove:g}",
            "backend": keras.backend.backend(), "seed": options.seed, "steps": recipe.steps(words["train"]),
            "date": time.strftime("%Y-%m-%d"), "seconds": round(time.time() - started), "versions": versions(),
            "agreement": {"with": other, "max_difference": distance}, "arms": arms,
        }  # fmt: skip
        write_json(options.result, kept, indent=1)
        sets = {"words": test.utterances, **said}
        reference = {name: [f"{u.id} {u.speaker} {u.text}" for u in clips] for name, clips in sets.items()}
        write_json(options.result.with_name("references.json"), reference, indent=1)


def accuracy(model: Any, words: Any, noise: bool = False) -> float:
    """Share of single digits, or of noises, that the model puts in the right class."""
    chosen = (words.classes == NOTHING) == noise
    return float(np.mean(model(words.features[chosen]).argmax(1) == words.classes[chosen]))


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, default=Path("runs/founding"), help="folder for everything that is made")
    parser.add_argument("--epochs", type=int, default=Recipe.epochs)
    parser.add_argument("--remove", type=float, default=Recipe.remove, help="share of the parameters, 0 to 1")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--takes", type=int, help="how many recordings of each digit by each speaker to learn from")
    parser.add_argument("--copies", type=int, default=2, help="how often each is heard again, varied")
    parser.add_argument("--strings", type=int, default=120, help="how many strings of digits to test on")
    parser.add_argument("--ask", type=int, default=3, help="how many strings the assistant answers to")
    parser.add_argument("--result", type=Path, help="a JSON file for what was found")
    return parser.parse_args()


if __name__ == "__main__":
    main()

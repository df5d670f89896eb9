"""The founding document in one run, from recordings to an assistant that answers: read this file from top to bottom.

    KERAS_BACKEND=tensorflow python examples/founding/run.py          # or torch; README.md has quick settings

The --work folder ends with index.html (what came out, with intervals, and whether pruned is better), the exported
networks, the map of what matters, and result.json.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import keras
import mandarin
import numpy as np
from assistant import NOTHING, RATE, Floats, Inputs, Model, answer, digits, inputs_file, load, named
from inputs import kept_features, what_matters
from learn import ARMS, LASSO, PRUNED, Recipe, learned, without_zeros
from measure import agreement, heard_strings, kept_run, milliseconds, recognised_words, string_errors, versions
from page import write_page
from speech import SNR_DB, Words, data_folder, dataset, string_features, strings

from secateur.allocation.latency import machine
from secateur.base.files import write_json
from secateur.data.manifest import Utterance
from secateur.keras.export import export

ALL = Inputs()
MORE = ("zeros", "fewer-features", "lower-rate")


@dataclass(frozen=True)
class Speech:
    """Everything that is tested and learned from: single words by split, and the test's strings of digits by the
    loudness of the noise."""

    words: dict[str, Words]
    said: dict[str, list[Utterance]]
    strings: dict[str, list[Floats]]  # features (words, 64, 39) of each


def main() -> None:
    """All steps."""
    options, started = arguments(), time.time()
    work = options.work

    # 1. and 2. Prepare: denoise the recordings, clean the texts, cut the pauses; MFCC features of every word.
    sizes = (options.takes, options.copies, options.strings, options.noises)
    speech = prepared(work, *sizes)
    print(f"1, 2: {', '.join(f'{name} {s.features.shape}' for name, s in speech.words.items())}")

    # 3. to 6. Learn: with all units; while units are removed; with a group lasso whose zeros are deleted. Same data,
    # same seeds, same steps. Export, and test the exported files.
    dense = replace(ARMS["dense"], blocks=options.blocks, epochs=options.epochs, batch_size=options.batch_size)
    pruned = replace(dense, remove=options.remove)
    emptied = replace(dense, dropout=0.0, l1=0.0, l2=0.0, lasso=options.lasso, zeros=True)
    arms = {name: runs_of(options, name, recipe, speech) for name, recipe in (("dense", dense), ("pruned", pruned))}
    if "zeros" in options.arms:
        arms["zeros"] = runs_of(options, "zeros", emptied, speech)

    # What matters: everything removed once, on development words. The features that matter least are deleted, and
    # the sample rate is halved; both networks lose units besides.
    found = what_matters(work / "dense.keras", speech.words["dev"], work / "map")
    kept = kept_features(found, options.delete_features)
    print(f"3-6: {len(found.sites)} sites measured; features that stay: {named(kept)}")
    if "fewer-features" in options.arms:
        arms["fewer-features"] = runs_of(options, "fewer-features", pruned, speech, Inputs(columns=kept))
    if "lower-rate" in options.arms:
        slow = prepared(work, *sizes, rate=options.rate)
        arms["lower-rate"] = runs_of(options, "lower-rate", pruned, slow, Inputs(rate=options.rate))

    # 6. Time of a word, in turns in one process.
    files = {name: load(work / f"{name}.onnx") for name in arms}
    times = milliseconds(files, speech.words["test"].features[:1])
    print(f"6: {', '.join(f'{name} {value:.2f}' for name, value in times.items())} ms a word")

    # 5. again: other formats, each compared with its network; another Keras backend must agree, too.
    pruned_network, others = keras.models.load_model(work / "pruned.keras"), {}
    for kind, name in (("litert", "pruned.tflite"), ("saved_model", "pruned_saved_model"))[: options.formats]:
        done = export(pruned_network, work / name, kind)
        others[name] = {"bytes": done.bytes, "difference": done.max_difference}
        print(f"5: {name}, {done.bytes} bytes, differs from Keras by {done.max_difference:.1g}")
    other, distance = agreement(work / "pruned.keras", pruned_network, speech.words["dev"].features)
    print(f"5: {other} differs by {distance:.1g}")

    # The same for Mandarin, whose texts become pinyin: whole sentences, with CTC.
    pinyin = None
    if options.mandarin:
        parts = mandarin.lines(data_folder(), work, options.mandarin)
        pinyin = mandarin.measured(
            parts, {"dense": 0.0, "pruned": options.remove_mandarin}, options.seeds, work,
            blocks=options.blocks, epochs=options.mandarin_epochs, batch_size=16,
        )  # fmt: skip

    # 7. Ask the assistant.
    answers = []
    for said, string in list(zip(speech.said["quiet"], speech.strings["quiet"], strict=True))[: options.ask]:
        answers.append((said.text, answer(digits(files["pruned"], string))))
        print(f"7: {said.text} -> {answers[-1][1]}")

    # What came out, as a page.
    sets = {"words": speech.words["test"].utterances, **speech.said}
    settings = {name: str(value) if isinstance(value, Path) else value for name, value in vars(options).items()}
    result = {
        "arms": arms, "milliseconds": times, "agreement": {"with": other, "max_difference": distance},
        "formats": others, "features": {"kept": kept, "loss": {m.site: m.loss.delta for m in found.sites if m.loss}},
        "references": {name: [f"{u.id} {u.speaker} {u.text}" for u in clips] for name, clips in sets.items()},
        "pinyin": pinyin, "answers": answers, "settings": settings, "versions": versions(), "machine": machine(),
        "backend": keras.backend.backend(), "date": time.strftime("%Y-%m-%d"), "seconds": round(time.time() - started),
    }  # fmt: skip
    write_json(work / "result.json", result, indent=1)
    write_page(json.loads(json.dumps(result)), work)
    print(f"8: {work / 'index.html'}")


def runs_of(
    options: argparse.Namespace, name: str, recipe: Recipe, speech: Speech, inputs: Inputs = ALL
) -> list[dict[str, Any]]:
    """What came of one arm, of every seed; what an earlier run in the same folder made in the same way is not made
    again."""
    sizes = {size: getattr(options, size) for size in ("takes", "copies", "strings", "noises")}
    about = {"recipe": asdict(recipe), "inputs": asdict(inputs), "sizes": sizes, "backend": keras.backend.backend()}
    runs = []
    for seed in range(options.seeds):
        path = options.work / (f"{name}.onnx" if seed == 0 else f"{name}-{seed}.onnx")
        run = kept_run(path, about)
        if run is None:
            network, run = learned_and_tested(speech, recipe, seed, path, inputs)
            network.save(path.with_suffix(".keras"))
            run |= about
            write_json(path.with_suffix(".json"), run, indent=1)
        runs.append(run)
        print(f"3-6: {summary(name, run, speech)}", flush=True)
    return runs


def prepared(
    work: Path, takes: int | None = None, copies: int = 1, count: int = 120, noises: int = 600, rate: int = RATE
) -> Speech:
    """Steps 1 and 2, words at `rate`; what is made is kept in `work` for the next run."""
    data = data_folder()
    words, recordings = dataset(data, work, takes, copies, noises, rate)
    said = {name: strings(recordings["test"], data, "test", name, work / "strings", count) for name in SNR_DB}
    at = "" if rate == RATE else f"-{rate}"
    features = {name: string_features(u, work / f"strings-{name}-{count}{at}.npz", rate) for name, u in said.items()}
    return Speech(words, said, features)


def learned_and_tested(
    speech: Speech, recipe: Recipe, seed: int, path: Path, inputs: Inputs = ALL
) -> tuple[Any, dict[str, Any]]:
    """Steps 3 to 6 of one arm: the network, and what its exported file at `path` recognises."""
    started, zeros = time.time(), None
    train, dev = (chosen(speech.words[name], inputs) for name in ("train", "dev"))
    network = learned(train, dev, recipe, seed)
    if recipe.zeros:
        network, zeros = without_zeros(network, dev.features)
    seconds = round(time.time() - started, 1)
    exported = export(network, path)
    if inputs != ALL:
        write_json(inputs_file(path), asdict(inputs))
    model = load(path)
    heard = {name: " ".join(heard_strings(model, s)) for name, s in speech.strings.items()}
    test = speech.words["test"]
    return network, {
        "seed": seed, "parameters": network.count_params(), "bytes": exported.bytes,
        "steps": recipe.steps(speech.words["train"]), "seconds": seconds, "export_difference": exported.max_difference,
        "dev": accuracy(model, speech.words["dev"]), "test": accuracy(model, test),
        "noise": accuracy(model, test, noise=True),
        "heard": {"words": " ".join(recognised_words(model, test)), **heard},
        **({} if zeros is None else {"zeros": zeros}),
    }  # fmt: skip


def chosen(words: Words, inputs: Inputs) -> Words:
    """The words with the features that a network reads."""
    return words if inputs.columns is None else replace(words, features=words.features[..., list(inputs.columns)])


def accuracy(model: Model, words: Words, noise: bool = False) -> float:
    """Share of single digits, or of noises, that the model puts in the right class."""
    of = (words.classes == NOTHING) == noise
    return float(np.mean(model(words.features[of]).argmax(1) == words.classes[of]))


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
    parser.add_argument("--blocks", type=int, default=Recipe.blocks, choices=(1, 2, 3), help="Inception blocks")
    parser.add_argument("--epochs", type=int, default=Recipe.epochs)
    parser.add_argument("--batch-size", type=int, default=Recipe.batch_size)
    parser.add_argument("--remove", type=float, default=PRUNED, help="share of the parameters, 0 to 1")
    parser.add_argument("--lasso", type=float, default=LASSO, help="strength of the group lasso of the arm 'zeros'")
    parser.add_argument("--delete-features", type=int, default=13, help="how many of the 39 MFCC features are deleted")
    parser.add_argument("--rate", type=int, default=RATE // 2, help="the lower sample rate, Hz")
    parser.add_argument("--arms", nargs="*", choices=MORE, default=MORE, help="beside dense and pruned; all by default")
    parser.add_argument("--seeds", type=int, default=1, help="how often each arm is trained")
    parser.add_argument("--takes", type=int, help="how many recordings of each digit by each speaker to learn from")
    parser.add_argument("--copies", type=int, default=1, help="how often each is heard again, varied")
    parser.add_argument("--noises", type=int, default=600, help="pieces of noise that are no digit, to learn from")
    parser.add_argument("--strings", type=int, default=120, help="how many strings of digits to test on")
    parser.add_argument("--mandarin", type=int, default=1500, help="recordings to learn pinyin from; 0 leaves it out")
    parser.add_argument("--mandarin-epochs", type=int, default=20)
    parser.add_argument("--remove-mandarin", type=float, default=0.5, help="share of the parameters, 0 to 1")
    parser.add_argument("--ask", type=int, default=3, help="how many strings the assistant answers to")
    parser.add_argument("--formats", type=int, default=2, help="of LiteRT and SavedModel, how many are written too")
    return parser.parse_args(given)


if __name__ == "__main__":
    main()

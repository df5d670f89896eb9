"""A study's CTC runs decoded with lexicon and language models afterwards, on a CPU: from outputs or checkpoints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray

from ..base.errors import SecateurError
from ..base.files import Json, atomic_path, read_json, write_json
from ..base.options import to_dict
from ..data.bank import AudioBank
from ..data.job import JobData
from ..data.manifest import Utterance
from ..decode.ctc.beam import BeamDecoder, BeamOptions
from ..decode.ctc.words import greedy
from ..evaluate.error_rate import count_errors, metric_for, total
from ..evaluate.scoring import batch_seconds
from ..families.ctc.task import log_probs_bank
from ..lm.ngram import LanguageModel, NGram, mixed
from ..lm.word_tree import WordTree, make_lexicon
from ..models.checkpoint import load_checkpoint
from ..models.family import family_of
from ..models.network import FrameNetwork, Network
from ..prune.weights.threshold import matrix_weights, nonzero_weights
from ..text.normalise import normaliser
from ..text.units import Inventory, read_units
from .lm import LM
from .lm_weights import weigh
from .sets import read_sets, unseen_tests
from .settings import StudySettings

STEP = 0.1  # nats between two values that are distinguished
LOWEST = 10.0  # probabilities below exp(-LOWEST) are stored alike


def write_outputs(path: Path, log_probs: Sequence[NDArray[np.floating]]) -> None:
    """Logarithms of probabilities (frames, units) of every clip, a byte each; compressed, half a kB a second."""
    lengths = np.asarray([len(one) for one in log_probs], np.int32)
    values = np.concatenate([np.rint(np.minimum(-one, LOWEST) / STEP).astype(np.uint8) for one in log_probs])
    with atomic_path(path) as temporary, temporary.open("wb") as out:
        np.savez_compressed(out, values=values, lengths=lengths)


def read_outputs(path: Path) -> list[NDArray[np.float32]]:
    """The same back, to half a `STEP`.

    Raises:
        SecateurError: missing or damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            values, lengths = stored["values"], stored["lengths"]
        if values.dtype != np.uint8 or values.ndim != 2 or lengths.sum() != len(values):
            raise ValueError("other arrays than a model's outputs")
    except FileNotFoundError:
        raise SecateurError(f"{path}: no such file") from None
    except Exception as problem:
        raise SecateurError(f"{path}: not the outputs of a model ({problem})") from problem
    return [part * np.float32(-STEP) for part in np.split(values, np.cumsum(lengths)[:-1])]


OUTPUTS = "outputs"  # folder of a run: SET.npz
TUNED = 16  # hypotheses at most while weights are chosen
SIZES = ("removed", "removed_weights", "removed_or_zero", "steps")  # of a run's summary
Outputs = list[NDArray[np.float32]]


def keep_outputs(folder: Path, model: Network, data: JobData) -> None:
    """Write the outputs of `model`, of a family by frame, on dev and every test set into the run's folder."""
    network = cast(FrameNetwork, model)
    for name, clips in {"dev": data.dev, **data.tests}.items():
        bank = data.bank(name, clips, model.config.front_end.sample_rate)
        write_outputs(folder / OUTPUTS / f"{name}.npz", log_probs_bank(network, bank, batch_seconds(data.device)))


@dataclass
class RunReader:
    """Reads runs of one study with language models; what several runs share is made once."""

    study: StudySettings
    data_folder: Path
    models: Sequence[NGram]  # mixed as suits the dev set's transcripts best
    beam: int = 64
    limit: int | None = None  # clips of each set, to try it out
    _sets: dict[str, list[Utterance]] = field(default_factory=dict)
    _banks: dict[tuple[str, int], AudioBank] = field(default_factory=dict)
    _mixed: dict[str, LanguageModel] = field(default_factory=dict)
    _lexicons: list[tuple[Inventory, str, WordTree]] = field(default_factory=list)

    def read(self, folder: Path, tests: dict[str, str]) -> Json:
        """A run's result: errors of every clip of each test, greedily (`test`) and read (`test@lm`), and how.

        `tests` says for each test set on which dev set its weight and bonus are chosen (see `dev_of`).

        Raises:
            SecateurError: neither outputs nor checkpoint, no units, or another model than a CTC one.
        """
        units, network = read_units(folder / "units.json"), _Network(folder)
        chosen: Json = {}
        errors: dict[str, list[int]] = {}
        rates: dict[str, float] = {}
        for test, dev in tests.items():
            if dev not in chosen:
                outputs = self._outputs_of(network, dev)
                trials = weigh(outputs, self.clips(dev), partial(self._decoder, units, dev, min(self.beam, TUNED)))
                best = min(trials, key=lambda t: t.rate)
                _, rates[dev] = self._errors(dev, [units.decode(greedy(one)) for one in outputs])
                rates[f"{dev}@{LM}"] = best.rate
                shares = np.exp(getattr(self._mixed[dev], "log_weights", [0.0])).round(3).tolist()
                chosen[dev] = {**to_dict(best), "tried": len(trials), "shares": shares}
            outputs = self._outputs_of(network, test)
            weights = {name: chosen[dev][name] for name in ("lm_weight", "word_bonus", "blank_penalty")}
            read = self._decoder(units, dev, self.beam, **weights)
            errors[test], rates[test] = self._errors(test, [units.decode(greedy(one)) for one in outputs])
            errors[f"{test}@{LM}"], rates[f"{test}@{LM}"] = self._errors(test, read.many(outputs))
        by_test = {test: chosen[dev] for test, dev in tests.items()}
        how = {"beam": self.beam, "units": getattr(units, "kind", ""), "chosen": by_test}
        return {"summary": {"error": rates, "lm": how, **network.sizes()}, "log": [], "errors": errors}

    def clips(self, name: str) -> list[Utterance]:
        """The clips of a dev or test set, as the study's runs name it."""
        if not self._sets:
            devs = {f"dev-{Path(path).parent.name}": read_sets([path], self.data_folder) for path in self.study.dev}
            every = [u for clips in devs.values() for u in clips]
            self._sets = {"dev": every, **devs, **unseen_tests(self.study, self.data_folder)}
        return self._sets[name][: self.limit]

    def _outputs_of(self, network: _Network, name: str) -> Outputs:
        clips = self.clips(name)
        stored = network.outputs(name)
        if stored is not None:
            if self.limit is None and len(stored) != len(clips):
                raise SecateurError(f"{network.folder}: outputs of {len(stored)} clips where {name} has {len(clips)}")
            return stored[: len(clips)]
        rate = network.model.config.front_end.sample_rate
        if (name, rate) not in self._banks:
            self._banks[name, rate] = AudioBank.read(clips, torch.device("cpu"), rate, label="")
        return log_probs_bank(network.model, self._banks[name, rate], batch_seconds(torch.device("cpu")))

    def _errors(self, name: str, texts: list[str]) -> tuple[list[int], float]:
        clips = self.clips(name)
        clean, metric = normaliser(clips[0].language), metric_for(clips[0].language)
        counts = [count_errors(clean(u.text), clean(text), metric) for u, text in zip(clips, texts, strict=True)]
        return [count.errors for count in counts], total(counts).rate

    def _decoder(self, units: Inventory, dev: str, beam: int, **weights: float) -> BeamDecoder:
        if dev not in self._mixed:
            self._mixed[dev] = mixed(self.models, [u.text for u in self.clips(dev)])
        model = self._mixed[dev]
        lexicon = next((lexicon_of for known, of, lexicon_of in self._lexicons if of == dev and known == units), None)
        if lexicon is None:
            lexicon = make_lexicon(units, model.words, model.unigrams.tolist())
            self._lexicons.append((units, dev, lexicon))
        return BeamDecoder(units, model, BeamOptions(beam, **weights), lexicon)


class _Network:
    """A run's folder; its checkpoint is only read where outputs are missing."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._model: Any = None

    @property
    def model(self) -> Any:
        """The network.

        Raises:
            SecateurError: no checkpoint, or not of a CTC model.
        """
        if self._model is None:
            self._model = load_checkpoint(self.folder)[0]
            if not family_of(self._model.config).by_frame:
                raise SecateurError(f"{self.folder}: language models are for CTC models")
        return self._model

    def outputs(self, name: str) -> Outputs | None:
        """The stored outputs of a set, or None."""
        path = self.folder / OUTPUTS / f"{name}.npz"
        return read_outputs(path) if path.exists() else None

    def sizes(self) -> Json:
        """The sizes in the run's summary; of a lone checkpoint, its zeros are counted."""
        path = self.folder / "summary.json"
        if path.exists():
            summary = read_json(path)
            return {name: summary[name] for name in SIZES if name in summary}
        if not (self.folder / "model.safetensors").exists():
            return {}
        return {"removed_weights": 1 - nonzero_weights(self.model) / matrix_weights(self.model)}


def dev_of(study: StudySettings, test: str) -> str:
    """The dev set on which a test's weights are chosen: the one of the same source, or all."""
    source = Path(study.tests[test]).parent.name
    same = any(Path(path).parent.name == source for path in study.dev)
    return f"dev-{source}" if same and len(study.dev) > 1 else "dev"


def write_clips(reader: RunReader, tests: dict[str, str], target: Path) -> None:
    """The clips of the tests beside the results, as a study's store has them."""
    clean = normaliser(reader.clips(next(iter(tests)))[0].language)
    rows = {}
    for test in tests:
        clips = reader.clips(test)
        metric = metric_for(clips[0].language)
        words = [count_errors(clean(u.text), "", metric).reference for u in clips]
        rows[test] = [[u.id, u.speaker, n, round(u.duration, 2), {}] for u, n in zip(clips, words, strict=True)]
    if target.exists() and read_json(target) != rows:
        rows = {**read_json(target), **rows}
    write_json(target, rows, indent=None)

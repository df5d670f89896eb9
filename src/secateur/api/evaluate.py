"""The error rate of anything that a model's name can mean, on a manifest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ..base.errors import SecateurError
from ..base.files import Json, folder_bytes
from ..base.options import Settings, option, same_as, to_dict
from ..base.progress import say
from ..decode.options import DecodingOptions, check_decoding
from ..decode.prompt import chosen
from ..evaluate.decoded import PLAIN, decoded, note_other_languages
from ..runtime.writing import WritingSettings
from ..text.languages import base_language
from ..text.normalise import Scheme
from .job import job

if TYPE_CHECKING:
    from ..data.manifest import Utterance
    from ..evaluate.result import Result
    from ..models.family import Config
    from ..runtime.recogniser import Recogniser

TRUSTED = (
    "temperatures", "compression_ratio_threshold", "log_prob_threshold", "no_speech_threshold", "calibrated", "vad",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class EvaluateSettings(Settings):
    """What is evaluated on what, and how it is decoded."""

    model: str = option(
        help="Evaluate this: an exported or checkpoint folder, or a name such as tiny.en.", positional=True
    )
    manifest: Path = option(help="Decode these clips, which have transcripts (JSONL).", positional=True)
    limit: int | None = option(None, "Decode only this many clips, the first ones.", unit="clips", least=1)
    out: Path | None = option(
        None,
        "Write the result file here (for `compare` and `report`).",
        writes=lambda settings: "folder" if settings.conditions else ".json",
    )
    rows: bool = option(True, "Keep every clip's texts in the result file.")
    metric: Literal["wer", "cer", "mer", "per"] | None = option(
        None, "Count words, characters, both by script (mer), or phones of a CTC model; left out: by language."
    )
    normalise: Scheme | None = option(
        None,
        "Compare texts by whisper's published rules, by the language's own habits, with case and punctuation "
        "(cased) or as they are; left out: whisper where that is right, else language.",
    )
    by: str | None = option(None, "Break down by speaker, length, or an extra of the manifest such as age or gender.")
    correct: Path | None = option(None, "Correct Chinese by sound with this file of `secateur text learn`.")
    correct_cost: float | None = same_as(WritingSettings, "correct_cost")
    correct_lm: Path | None = same_as(WritingSettings, "correct_lm")
    alternatives: int | None = option(
        None,
        "Keep this many of each clip's likeliest texts, with their log probabilities, in the result file: correction "
        "then takes the best of them first (checkpoints of encoder-decoder models).",
        unit="texts",
        least=2,
    )
    tune_on: Path | None = option(
        None, "Choose what lm or correct weigh, bonus and penalty too, on this manifest; never the test's."
    )
    fallback: bool = option(
        False, "Look for speech first and decode again what looks wrong, as `transcribe` does, unless options say how."
    )
    conditions: tuple[str, ...] = option(
        (),
        "Measure real use instead: all, or some of clean, pause, joined, previous, prompt, timestamps and "
        "nonspeech, or one of a kind such as pause-4, joined-60 or prompt-words; out is then a folder.",
    )
    nonspeech: Path | None = option(
        None, "Measure invented text on these recordings, in which nobody speaks (JSONL); left out: on generated ones."
    )
    threads: int | None = option(None, "Run exported models on this many CPU threads.", least=1)
    device: str = option("auto", "Run checkpoints on cpu, cuda, or auto: a GPU where there is one.")
    batch_seconds: float | None = option(
        None,
        "Decode checkpoints greedily in batches of this much audio; left out: 60 s, on a GPU 2400.",
        unit="s",
        above=0,
        advanced=True,
    )
    decoding: DecodingOptions = option(PLAIN, "Say how audio is decoded.", flat=True)

    def how(self) -> DecodingOptions:
        """The decoding options, with `fallback` applied where they are at their defaults."""
        if not self.fallback:
            return self.decoding
        usual = DecodingOptions()
        trusted = {n: getattr(usual, n) for n in TRUSTED if getattr(self.decoding, n) == getattr(PLAIN, n)}
        return replace(self.decoding, **trusted)

    def plain(self) -> bool:
        """Whether this is greedy decoding with nothing else asked for, which batches of any size can do."""
        given = self.how()
        return all(getattr(given, f.name) == getattr(PLAIN, f.name) for f in fields(given) if f.name != "language")


@job(EvaluateSettings)
def evaluate(settings: EvaluateSettings) -> Result:
    """Evaluate a model on a manifest; returns the result, and writes it where `out` says.

    Raises:
        SecateurError: the model or the manifest cannot be read, or options that the model cannot follow.
    """
    from ..evaluate.result import write_result

    result = result_of(settings)
    if settings.out is not None:
        write_result(settings.out, result, rows=settings.rows)
    return result


def result_of(options: EvaluateSettings) -> Result:
    """Evaluate anything MODEL can name on the clips of the manifest.

    Raises:
        SecateurError: the model or the manifest cannot be read, or an option has a value that is not known.
    """
    from ..data.manifest import read_manifest
    from ..evaluate.run import evaluate as count
    from ..evaluate.run import with_cost

    _check(options)
    named, options = options.model, replace(options, model=located(options.model))
    if is_exported(options.model):
        transcribe, config, settings = _exported(options)
    else:
        transcribe, config, settings = _checkpoint(options)
    if options.model != named and Path(named).is_dir():
        say(f"{named}: a run folder; evaluating {options.model}")
        named = options.model
    if options.metric == "per":
        from ..study.pinyin_head import in_phones
        from ..text.units import read_units

        phones: Any = read_units(Path(options.model) / "units.json")

    def on(manifest: Path) -> Result:
        utterances, path = list(read_manifest(manifest))[: options.limit], manifest.resolve()
        if options.metric == "per":
            utterances = in_phones(phones, utterances)
        result = count(
            transcribe, utterances, model=named, data=f"{path.parent.name}/{path.stem}",
            metric=options.metric, size=folder_bytes(Path(options.model)), settings=settings,
            normalise=options.normalise,
        )  # fmt: skip
        if settings["runtime"] == "torch" and (options.correct is not None or options.alternatives is not None):
            result = _with_evidence(result, options, utterances, settings["device"])
        return with_cost(result, config)

    result = on(options.manifest)
    return result if options.correct is None else _corrected(result, options, on)


def _with_evidence(result: Result, options: EvaluateSettings, utterances: list[Utterance], device: str) -> Result:
    """The result with what correction asks besides its texts: alternatives, and a pinyin head's output."""
    import torch

    from ..evaluate.scoring import batch_seconds
    from ..families.seq2seq.nbest import add_alternatives
    from ..study.pinyin_head import add_pinyin_evidence

    seconds = batch_seconds(torch.device(device)) if options.batch_seconds is None else options.batch_seconds
    if options.alternatives is not None:
        result = add_alternatives(result, options.model, utterances, device, seconds, options.alternatives)
    return add_pinyin_evidence(result, options.model, utterances, device, seconds)


def _check(options: EvaluateSettings) -> None:
    """What can be refused before anything is loaded or decoded.

    Raises:
        SecateurError: files that are missing or not what they must be, options without the one that they go with, or a
            breakdown by what no clip says.
    """
    from ..data.manifest import read_manifest
    from ..evaluate.breakdown import check_extra

    check_decoding(options.how(), replace(options, decoding=PLAIN).how())
    for path in (options.manifest, options.correct, options.correct_lm, options.tune_on, *options.decoding.lm):
        if path is not None and not path.exists():
            raise SecateurError(f"{path}: no such file")
    if options.nonspeech is not None:
        raise SecateurError("--nonspeech goes with --conditions nonspeech: add it, or leave out --nonspeech")
    for name in ("correct_cost", "correct_lm"):
        if getattr(options, name) is not None and options.correct is None:
            flag = f"--{name.replace('_', '-')}"
            raise SecateurError(f"{flag} goes with --correct: name a file of `secateur text learn`, or leave it out")
    if options.alternatives is not None and options.correct is None and (options.out is None or not options.rows):
        raise SecateurError("--alternatives keeps texts in the rows of a result file: add --out FILE or --correct")
    if options.tune_on is not None:
        if options.correct is None and not options.decoding.lm:
            raise SecateurError("--tune-on chooses weights of --lm or --correct: add one of them, or leave it out")
        read_manifest(options.tune_on)
    clips = read_manifest(options.manifest)[: options.limit]
    if options.by and options.by not in ("speaker", "length"):
        several = {"language"} if len({base_language(u.language) for u in clips}) > 1 else set[str]()
        check_extra(options.by, {name for u in clips for name in u.extras} | several)
    if options.correct is not None:
        from ..text.word_model import WordModel

        other = next((u.language for u in clips if base_language(u.language) != "zh"), None)
        if other is not None or options.metric not in (None, "cer"):
            raise SecateurError(
                f"correction by sound is for Chinese, in characters; here is {other or options.metric}: leave out "
                "--correct"
            )
        WordModel.read(options.correct)


def _corrected(result: Result, options: EvaluateSettings, on: Callable[[Path], Result]) -> Result:
    """The result corrected by sound, as strongly as is best on `--tune-on`."""
    from ..evaluate.corrected import correction
    from ..lm.tables import read_ngram
    from ..text.by_sound import BySound, costs_of
    from ..text.word_model import WordModel

    assert options.correct is not None
    words = WordModel.read(options.correct)
    lm = None if options.correct_lm is None else read_ngram(options.correct_lm)
    writer = BySound(words, costs_of(words, options.correct_cost), lm=lm)
    return correction(result, writer, None if options.tune_on is None else on(options.tune_on))[0]


def located(model: str) -> str:
    """The folder of a bundled model or of a run's outcome; any other name as it is (`weights.fetch` knows more).

    Raises:
        SecateurError: a run folder with several models.
    """
    from ..runtime.contents import BUNDLED, find_model

    if Path(model).is_dir() or (BUNDLED / model / "config.json").is_file():
        return str(find_model(model))
    return model


def is_exported(model: str) -> bool:
    """Whether MODEL is a folder with ONNX files."""
    folder = Path(model)
    return folder.is_dir() and any(folder.glob("*.onnx"))


Prepared = tuple[Callable[[list["Utterance"]], list[str]], "Config", Json]


def _checkpoint(options: EvaluateSettings) -> Prepared:
    from ..base.extras import require

    torch = require("torch", "train")
    from ..base.device import pick_device
    from ..data.bank import AudioBank
    from ..evaluate.scoring import batch_seconds
    from ..prune.task import task_of
    from ..runtime.checkpoint import load_checkpoint_recogniser
    from ..weights.fetch import fetch, load_model

    if options.alternatives is not None:
        from ..families.seq2seq.nbest import check_alternatives

        check_alternatives(load_model(options.model)[0])
    device = pick_device(options.device)
    settings: Json = {"runtime": "torch", "device": str(device)}
    if device.type == "cpu":
        settings["threads"] = torch.get_num_threads()
    if not options.plain() or _tunes_lm(options) or options.metric == "per":
        recogniser = load_checkpoint_recogniser(fetch(options.model), options.threads, str(device))
        return _with_recogniser(recogniser, options, settings)
    network, text = load_model(options.model)
    tokens, asked = getattr(network.config, "tokens", None), options.decoding.language
    own = None if tokens is None or asked is None else chosen(tokens, asked)
    seconds = batch_seconds(device) if options.batch_seconds is None else options.batch_seconds

    def transcribe(utterances: list[Utterance]) -> list[str]:
        """As `adapt` and studies decode, batches included: a model has one error rate on the same clips."""
        note_other_languages(network.config, utterances)
        bank = AudioBank.read(utterances, device, network.config.front_end.sample_rate, label="")
        spoken = [own or u.language for u in utterances]
        return task_of(network.config).transcribe(network.to(device), text, bank, spoken, seconds, "transcribing")

    return transcribe, network.config, settings | decoding(options) | {"batch_seconds": seconds}


def _exported(options: EvaluateSettings) -> Prepared:
    from ..runtime.recogniser import Recogniser

    if options.alternatives is not None:
        raise SecateurError(f"{options.model} is exported: --alternatives is for its checkpoint, or leave it out")
    recogniser = Recogniser.load(options.model, options.threads)
    settings = {"runtime": "onnxruntime", "device": "cpu", "threads": options.threads}
    return _with_recogniser(recogniser, options, settings)


def decoding(options: EvaluateSettings) -> Json:
    """The decoding part of a result's settings: beams, and what is not as usual."""
    given = options.how()
    odd = {f.name: getattr(given, f.name) for f in fields(given) if getattr(given, f.name) != getattr(PLAIN, f.name)}
    odd["lm"] = [path.name for path in given.lm]
    return {"beam": given.beam, "fallback": options.fallback} | {k: v for k, v in to_dict(odd).items() if v != []}


def _tunes_lm(options: EvaluateSettings) -> bool:
    """Whether `--tune-on` is for a language model."""
    return options.tune_on is not None and (bool(options.decoding.lm) or options.correct is None)


def _with_recogniser(recogniser: Recogniser, options: EvaluateSettings, settings: Json) -> Prepared:
    weighed = options.how()
    settings = settings | decoding(options)
    if options.metric == "per":
        from ..study.pinyin_head import phones_of, sounds

        phones = phones_of(recogniser)
    if options.tune_on is not None and _tunes_lm(options):
        from ..data.manifest import read_manifest
        from ..study.lm_weights import tune

        weighed, trials = tune(recogniser, list(read_manifest(options.tune_on)), weighed)
        settings |= {"tuned_on": str(options.tune_on), "tried": to_dict(trials)}
    if weighed.lm:
        settings |= {"lm": [path.name for path in weighed.lm], "lm_shares": weighed.lm_shares,
                     "lm_weight": weighed.lm_weight, "word_bonus": weighed.word_bonus,
                     "blank_penalty": weighed.blank_penalty, "unknown": weighed.unknown}  # fmt: skip

    text = (lambda transcript: sounds(phones, transcript)) if options.metric == "per" else None
    return decoded(recogniser, weighed, text), recogniser.config, settings

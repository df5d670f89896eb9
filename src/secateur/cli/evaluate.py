"""`secateur evaluate`: the error rate of a model on a manifest, with an interval, a breakdown and a result file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ..base.errors import SecateurError
from ..base.options import option, to_dict
from ..base.progress import say
from ..evaluate.bootstrap import too_few
from ..evaluate.breakdown import by_extra, by_length, by_speaker, extra_names
from ..evaluate.decoded import PLAIN, decoded, note_other_languages
from ..evaluate.error_rate import confusions
from ..evaluate.result import Result, write_result
from ..evaluate.run import evaluate, with_cost
from ..evaluate.table import headings, percent, table, text_table, unit
from ..runtime.recogniser import BUNDLED, find_model
from ..text.normalise import NORMALISE_HELP, SCHEMES, Scheme, explained

if TYPE_CHECKING:
    from ..data.manifest import Utterance
    from ..families.whisper.config import WhisperConfig
    from ..runtime.recogniser import Recogniser

HELP = "Word (or character) error rate of a model on a manifest, with a 95 % interval by resampling speakers."
EXAMPLE = """secateur evaluate tiny.en ../shared/data/speechocean762/test.jsonl --limit 100 --out tiny.json
secateur evaluate runs/kiosk/exported test.jsonl --by gender
secateur evaluate runs/ctc test.jsonl --lm general.npz,mine.npz --tune-on dev.jsonl
secateur evaluate runs/zh/dense test.jsonl --correct words.json --tune-on dev.jsonl"""


@dataclass(frozen=True)
class Options:
    """What is evaluated on what."""

    model: str = option(help="exported ONNX folder, checkpoint folder, or a name such as tiny.en", positional=True)
    manifest: Path = option(help="clips with transcripts (JSONL)", positional=True)
    limit: int | None = option(None, help="only the first N clips")
    out: Path | None = option(None, help="write the result file here (for compare and report)")
    rows: bool = option(True, help="keep every clip's texts in the result file")
    metric: Literal["wer", "cer", "mer", "per"] | None = option(
        None, help="wer, cer or mer (words and characters by script); default: by language; per: phones of a CTC model"
    )
    normalise: Scheme | None = option(None, help=NORMALISE_HELP)
    by: str | None = option(None, help="also break down by speaker, length, or an extra of the manifest (age, gender)")
    beam: int = option(1, help="beams; 1 is greedy")
    lm: tuple[Path, ...] = option((), help="CTC models: language models (see `secateur lm`), mixed; --beam is then 32")
    lm_shares: tuple[float, ...] = option((), help="their shares; evenly, or with --tune-on as suits its transcripts")
    lm_weight: float = option(0.5, help="weight of the language model beside the network")
    word_bonus: float = option(0.5, help="added for every word")
    blank_penalty: float = option(0.0, help="with --lm: taken off the blank's log probability")
    unknown: float | None = option(None, help="added for a word that no language model has; left out: there are none")
    correct: Path | None = option(None, help="Chinese: correct by sound with this file of `secateur text learn`")
    tune_on: Path | None = option(
        None, help="choose what --lm or --correct weigh (bonus and penalty, too) on this manifest (not the test's!)"
    )
    fallback: bool = option(False, help="decode again at higher temperatures what looks wrong, as transcribe does")
    threads: int | None = option(None, help="for exported models: CPU threads")
    device: str = option("auto", help="for checkpoints: cpu, cuda or auto")
    batch_seconds: float | None = option(
        None, help="for checkpoints decoded greedily: seconds of audio a batch (default: 60, on a GPU 2400)"
    )


def run(options: Options) -> dict[str, Any]:
    """Evaluate, write the result file, and return its summary."""
    result = evaluate_model(options)
    slices = _slices(result, options.by) if options.by else None
    if options.out is not None:
        write_result(options.out, result, rows=options.rows)
    values = result.summary()
    values["confusions"] = [
        {"said": left, "heard": right, "times": times}
        for (left, right), times in confusions([(r.reference, r.hypothesis) for r in result.rows], result.metric, 8)
    ]
    if slices is not None:
        values["by"] = slices
    values["extras"] = extra_names(result.rows)
    return values


def show(values: dict[str, Any]) -> str:
    """The summary for a terminal."""
    extras, found, slices = values.pop("extras"), values.pop("confusions"), values.pop("by", None)
    result = Result.of_summary(values, "result")
    titles, rows = table([(result.model, result)])
    lines = [
        text_table(titles, rows),
        f"\n{result.words} {unit(result)} in {result.utterances} clips of {result.speakers} speakers, "
        f"{result.seconds_audio / 60:.1f} min: {result.substitutions} substituted, {result.deletions} deleted, "
        f"{result.insertions} inserted; computed in {result.seconds_compute:.1f} s",
    ]
    if result.languages:
        lines += ["", *_languages(result)]
    if result.normalise:
        names = [one.language for one in result.languages] or [result.language]
        asked = result.normalise if result.normalise in SCHEMES else None
        lines += [f"normalised: {explained(name, asked)}" for name in names]
    if result.without_reference:
        lines.append(
            f"{result.without_reference} clips without a reference word: what was recognised there counts as inserted"
        )
    few = too_few(result.rate, result.interval, result.speakers or result.utterances)
    if few:
        lines.append(few)
    if "corrected" in result.settings:
        how = result.settings["corrected"]
        head = "" if how["head"] is None else f", pinyin head weighed {how['head']:g}"
        lines.append(f"corrected by sound, {how['changed']:g} nats a change{head}: {percent(how['before'])} before")
    if result.sounds is not None:
        s = result.sounds
        lines.append(
            f"pinyin error rate {_spread(s.pinyin, s.pinyin_interval)}; without tones "
            f"{_spread(s.toneless, s.toneless_interval)}; tone error rate {_spread(s.tone, s.tone_interval)}"
        )
    if found:
        shown = (f"{c['said'] or '(nothing)'} → {c['heard'] or '(nothing)'} ×{c['times']}" for c in found)
        lines.append("most frequent: " + ", ".join(shown))
    if slices:
        names = ["group", headings(result.metric)[1], unit(result), "clips", "speakers"]
        cells = [[s["name"], percent(s["rate"]), str(s["words"]), str(s["clips"]), str(s["speakers"])] for s in slices]
        lines += ["", text_table(names, cells)]
    elif extras:
        lines.append("break down with --by " + ", ".join(["speaker", "length", *extras]))
    return "\n".join(lines)


def _languages(result: Result) -> list[str]:
    """Each language in its own metric, and their mean: a sum over words and characters weighs them by their length."""
    rows = [
        [one.language, one.metric.upper(), percent(one.rate),
         f"{100 * one.interval[0]:.1f} to {100 * one.interval[1]:.1f}",
         str(one.words), str(one.utterances), str(one.speakers)]
        for one in result.languages
    ]  # fmt: skip
    titles = ["language", "metric", "rate", "95 % interval", "words or characters", "clips", "speakers"]
    mean = f"mean of the {len(rows)} languages {percent(result.mean_of_languages)}"
    above = f"the {result.metric.upper()} above is over all {unit(result)} together"
    return [text_table(titles, rows), f"{mean}; {above}"]


def _spread(rate: float, interval: tuple[float, ...]) -> str:
    """A rate with its interval.

    >>> _spread(0.123, (0.1, 0.15))
    '12.3 % (10.0 to 15.0)'
    """
    return f"{percent(rate)} ({100 * interval[0]:.1f} to {100 * interval[1]:.1f})"


def evaluate_model(options: Options) -> Result:
    """Evaluate anything MODEL can name on the clips of the manifest.

    Raises:
        SecateurError: the model or the manifest cannot be read, or an option has a value that is not known.
    """
    from ..data.manifest import read_manifest

    if options.limit is not None and options.limit < 1:
        raise SecateurError("--limit must be at least 1")
    named, options = options.model, replace(options, model=located(options.model))
    if is_exported(options.model):
        transcribe, config, settings = _exported(options)
    else:
        transcribe, config, settings = _checkpoint(options)
    if options.model != named and Path(named).is_dir():
        say(f"{named}: a run folder; evaluating {options.model}")
        named = options.model
    if options.metric == "per":
        from ..study.phone_errors import in_phones
        from ..text.units import read_units

        phones: Any = read_units(Path(options.model) / "units.json")

    def on(manifest: Path) -> Result:
        utterances, path = list(read_manifest(manifest))[: options.limit], manifest.resolve()
        if options.metric == "per":
            utterances = in_phones(phones, utterances)
        result = evaluate(
            transcribe, utterances, model=named, data=f"{path.parent.name}/{path.stem}",
            metric=options.metric, size=folder_bytes(Path(options.model)), settings=settings,
            normalise=options.normalise,
        )  # fmt: skip
        if options.correct is not None and settings["runtime"] == "torch":
            from ..study.pinyin_head import heard_beside

            result = heard_beside(result, options.model, utterances, settings["device"], settings["batch_seconds"])
        return with_cost(result, config)

    result = on(options.manifest)
    return result if options.correct is None else _corrected(result, options, on)


def _corrected(result: Result, options: Options, on: Callable[[Path], Result]) -> Result:
    """The result corrected by sound, as strongly as is best on `--tune-on`."""
    from ..evaluate.corrected import correction
    from ..text.by_sound import BySound
    from ..text.word_model import WordModel

    assert options.correct is not None
    writer = BySound(WordModel.read(options.correct))
    return correction(result, writer, None if options.tune_on is None else on(options.tune_on))[0]


def located(model: str) -> str:
    """The folder of a bundled model or of a run's outcome; any other name as it is (`weights.fetch` knows more).

    Raises:
        SecateurError: a run folder with several models.
    """
    if Path(model).is_dir() or (BUNDLED / model / "config.json").is_file():
        return str(find_model(model))
    return model


def is_exported(model: str) -> bool:
    """Whether MODEL is a folder with ONNX files."""
    folder = Path(model)
    return folder.is_dir() and any(folder.glob("*.onnx"))


def folder_bytes(folder: Path) -> int | None:
    """Bytes of everything in a model folder; None when MODEL is a name."""
    return sum(f.stat().st_size for f in folder.iterdir() if f.is_file()) if folder.is_dir() else None


Prepared = tuple[Callable[[list["Utterance"]], list[str]], "WhisperConfig", dict[str, Any]]


def _checkpoint(options: Options) -> Prepared:
    from ..base.extras import require

    torch = require("torch", "train")
    from ..base.device import pick_device
    from ..data.bank import AudioBank
    from ..evaluate.scoring import batch_seconds
    from ..prune.task import task_of
    from ..runtime.checkpoint import load_checkpoint_recogniser
    from ..weights.fetch import fetch, load_model

    device = pick_device(options.device)
    settings: dict[str, Any] = {"runtime": "torch", "device": str(device)}
    if device.type == "cpu":
        settings["threads"] = torch.get_num_threads()
    if options.beam > 1 or options.fallback or options.lm or _tunes_lm(options) or options.metric == "per":
        recogniser = load_checkpoint_recogniser(fetch(options.model), options.threads, str(device))
        return _with_recogniser(recogniser, options, settings)
    network, text = load_model(options.model)
    seconds = batch_seconds(device) if options.batch_seconds is None else options.batch_seconds

    def transcribe(utterances: list[Utterance]) -> list[str]:
        """As `adapt` and studies decode, batches included: a model has one error rate on the same clips."""
        note_other_languages(network.config, utterances)
        bank = AudioBank.read(utterances, device, network.config.front_end.sample_rate, label="")
        spoken = [u.language for u in utterances]
        return task_of(network.config).transcribe(network.to(device), text, bank, spoken, seconds, "transcribing")

    return transcribe, network.config, settings | decoding(options) | {"batch_seconds": seconds}


def _exported(options: Options) -> Prepared:
    from ..runtime.recogniser import Recogniser

    recogniser = Recogniser.load(options.model, options.threads)
    settings = {"runtime": "onnxruntime", "device": "cpu", "threads": options.threads}
    return _with_recogniser(recogniser, options, settings)


def decoding(options: Options) -> dict[str, Any]:
    """The decoding part of a result's settings."""
    return {"beam": options.beam, "fallback": options.fallback}


def _tunes_lm(options: Options) -> bool:
    """Whether `--tune-on` is for a language model."""
    return options.tune_on is not None and (bool(options.lm) or options.correct is None)


def _with_recogniser(recogniser: Recogniser, options: Options, settings: dict[str, Any]) -> Prepared:
    from ..decode.options import DecodingOptions

    weighed = replace(
        DecodingOptions() if options.fallback else PLAIN, beam=options.beam, lm=options.lm,
        lm_shares=options.lm_shares, lm_weight=options.lm_weight,
        word_bonus=options.word_bonus, blank_penalty=options.blank_penalty,
        unknown=options.unknown,
    )  # fmt: skip
    settings = settings | decoding(options)
    if options.metric == "per":
        from ..study.phone_errors import phones_of, sounds

        phones = phones_of(recogniser)
    if options.tune_on is not None and _tunes_lm(options):
        from ..data.manifest import read_manifest
        from ..study.lm_weights import tune

        weighed, tried = tune(recogniser, list(read_manifest(options.tune_on)), weighed)
        settings |= {"tuned_on": str(options.tune_on), "tried": to_dict(tried)}
    if options.lm:
        settings |= {"lm": [path.name for path in options.lm], "lm_shares": weighed.lm_shares,
                     "lm_weight": weighed.lm_weight, "word_bonus": weighed.word_bonus,
                     "blank_penalty": weighed.blank_penalty, "unknown": weighed.unknown}  # fmt: skip

    text = (lambda found: sounds(phones, found)) if options.metric == "per" else None
    return decoded(recogniser, weighed, text), recogniser.config, settings


def _slices(result: Result, by: str) -> list[dict[str, Any]]:
    named = {"speaker": by_speaker, "length": by_length}
    slices = named[by](result.rows) if by in named else by_extra(result.rows, by)
    return [
        {
            "name": s.name, "rate": s.counts.rate, "words": s.counts.reference, "clips": s.utterances,
            "speakers": s.speakers,
        }
        for s in slices
    ]  # fmt: skip

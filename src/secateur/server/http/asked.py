"""What the form of a transcription asks for: OpenAI's fields and two of ours, checked before any audio is read."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, BinaryIO

from ...base.errors import SecateurError, nearest
from ...decode.options import DecodingOptions
from ...runtime.recogniser import Recogniser
from ...runtime.subtitles import TIMED
from ...text.languages import base_language
from .answers import FORMATS
from .engine import RefusedError

if TYPE_CHECKING:
    from starlette.datastructures import FormData, UploadFile

# https://platform.openai.com/docs/api-reference/audio/createTranscription; `phrases` and `grammar` are ours.
FIELDS = (
    "file", "model", "language", "languages", "prompt", "keywords", "response_format", "temperature", "include",
    "timestamp_granularities", "stream", "chunking_strategy", "phrases", "grammar",
)  # fmt: skip
TRANSLATION = ("file", "model", "prompt", "response_format", "temperature")
NOT_DONE = {
    "known_speaker_names": "speakers are not told apart here",
    "known_speaker_references": "speakers are not told apart here",
    "diarized_json": "speakers are not told apart here: ask for verbose_json",
}
LONGEST_PROMPT = 4000  # letters, the last ones: more than any text context holds
MOST_FIELDS = 1100
MOST_PHRASES, LONGEST_PHRASE = 1000, 200  # in one request; letters of each
LONGEST_GRAMMAR = 20_000  # letters
HEAT_STEP = 0.2  # from one temperature to the next, as in the Whisper reference


@dataclass(frozen=True)
class Asked:
    """One request.

    Attributes:
        shape: the response format.
        granularities: `word`, `segment` or both, of verbose_json.
        logprobs: whether each token's log probability is wanted.
        phrases: sentences of which one was said; `grammar`: a grammar's name, or its TOML. Neither: free speech.
    """

    options: DecodingOptions
    shape: str = "json"
    granularities: frozenset[str] = frozenset({"segment"})
    logprobs: bool = False
    stream: bool = False
    phrases: tuple[str, ...] = ()
    grammar: str = ""

    @property
    def constrained(self) -> bool:
        """Whether only some sentences may be answered."""
        return bool(self.phrases or self.grammar)


def upload_of(form: FormData) -> UploadFile:
    """The recording in a form.

    Raises:
        RefusedError: 400, there is none.
    """
    from starlette.datastructures import UploadFile  # of the extra, whose absence `serve` names

    file = form.get("file")
    if not isinstance(file, UploadFile):
        raise _refused("the form has no part 'file' with a recording", "file")
    return file


def opened(upload: UploadFile) -> BinaryIO:
    """Its bytes, from their begin."""
    upload.file.seek(0)
    return upload.file


def asked_of(form: FormData, recogniser: Recogniser, usual: DecodingOptions, task: str = "transcribe") -> Asked:
    """What a form asks for; `usual` where it says nothing.

    Raises:
        RefusedError: 400, a field or a value that is not one of those known, by its name; 404, a task that the model
            cannot do.
    """
    _check_fields(form, FIELDS if task == "transcribe" else TRANSLATION)
    shape = _text(form, "response_format") or "json"
    if shape in NOT_DONE:
        raise _refused(f"response_format '{shape}': {NOT_DONE[shape]}", "response_format")
    if shape not in FORMATS:
        raise _refused(f"response_format '{shape[:40]}' is not one of {', '.join(FORMATS)}", "response_format")
    wanted = frozenset(_list(form, "timestamp_granularities"))
    if not wanted <= {"word", "segment"}:
        raise _refused("timestamp_granularities are word and segment", "timestamp_granularities")
    if wanted and shape != "verbose_json":
        raise _refused("timestamp_granularities need response_format=verbose_json", "timestamp_granularities")
    included = _list(form, "include")
    if set(included) - {"logprobs"}:
        raise _refused("include knows only logprobs", "include")
    stream = _flag(form, "stream")
    if included and not stream and shape not in ("json", "verbose_json"):
        raise _refused("include=logprobs needs response_format=json", "include")
    phrases, grammar = tuple(_list(form, "phrases")), _text(form, "grammar") or ""
    _check_phrases(phrases, grammar, shape, stream, bool(included))
    options = replace(
        usual, language=_language(form, recogniser, usual), words=_words(form, usual), vad=usual.vad,
        temperatures=_temperatures(form, usual), vad_threshold=_threshold(form, usual),
        word_times=shape in ("verbose_json", *TIMED),
    )  # fmt: skip
    if task == "translate":
        options = _translating(options, recogniser)
    return Asked(options, shape, wanted or frozenset({"segment"}), bool(included), stream, phrases, grammar)


def _check_fields(form: FormData, known: Sequence[str]) -> None:
    """Name what nobody reads, instead of dropping it."""
    for key in form:
        name = key.partition("[")[0]
        if name in NOT_DONE:
            raise _refused(f"{key}: {NOT_DONE[name]}", name)
        if name not in known:
            raise _refused(f"Unknown field '{key[:60]}'{nearest(name, known)}; known: {', '.join(known)}", key[:60])


def _check_phrases(phrases: tuple[str, ...], grammar: str, shape: str, stream: bool, logprobs: bool) -> None:
    if not phrases and not grammar:
        return
    if phrases and grammar:
        raise _refused("phrases and grammar exclude each other: send one of them", "phrases")
    if shape not in ("json", "text") or stream or logprobs:
        raise _refused("phrases and grammar are answered as response_format json or text, whole", "response_format")
    if len(phrases) > MOST_PHRASES or any(len(phrase) > LONGEST_PHRASE for phrase in phrases):
        raise _refused(f"phrases are at most {MOST_PHRASES} of {LONGEST_PHRASE} letters each", "phrases")
    if len(grammar) > LONGEST_GRAMMAR:
        raise _refused(f"a grammar has at most {LONGEST_GRAMMAR} letters", "grammar")


def _language(form: FormData, recogniser: Recogniser, usual: DecodingOptions) -> str | None:
    """The one language that was named, if one was."""
    named = _text(form, "language")
    if named is not None:
        return None if named.lower() == "auto" else named
    possible = _list(form, "languages")
    try:
        known = [code for code in possible if base_language(code) in recogniser.languages]
    except SecateurError as problem:
        raise _refused(str(problem), "languages") from problem
    if possible and not known:
        raise _refused(f"this model knows none of {', '.join(possible)[:80]}", "languages")
    return known[0] if len(known) == 1 else usual.language


def _words(form: FormData, usual: DecodingOptions) -> tuple[str, ...]:
    prompt = (_text(form, "prompt") or "")[-LONGEST_PROMPT:]
    return (*usual.words, *_list(form, "keywords"), *([prompt] if prompt else []))


def _temperatures(form: FormData, usual: DecodingOptions) -> tuple[float, ...]:
    """0 or left out: as usual, which tries hotter ones where a text is not trusted; else from that one on."""
    text = _text(form, "temperature") or "0"
    try:
        heat = float(text)
    except ValueError:
        heat = -1.0
    if not 0 <= heat <= 1:
        raise _refused("temperature must be a number from 0 to 1", "temperature")
    if not heat:
        return usual.temperatures
    steps = int((1 - heat) / HEAT_STEP + 1e-6)
    return tuple(round(heat + k * HEAT_STEP, 3) for k in range(steps + 1))


def _threshold(form: FormData, usual: DecodingOptions) -> float:
    """Of the voice activity detector, from OpenAI's `chunking_strategy`: auto, or server_vad with a threshold."""
    values = {key: str(form.get(key)) for key in form if key.partition("[")[0] == "chunking_strategy"}
    strategy = values.pop("chunking_strategy", "")
    if strategy.startswith("{"):
        try:
            values |= {f"chunking_strategy[{key}]": str(value) for key, value in json.loads(strategy).items()}
        except (ValueError, AttributeError, RecursionError):
            raise _refused("chunking_strategy is auto, or an object with a type", "chunking_strategy") from None
    elif strategy not in ("", "auto"):
        values["chunking_strategy[type]"] = strategy
    result = usual.vad_threshold
    for key, value in values.items():
        name = key.partition("[")[2].rstrip("]")
        if name == "type" and value in ("auto", "server_vad"):
            continue
        if name != "threshold":
            raise _refused(f"{key[:60]}={value[:20]}: only type (auto, server_vad) and threshold are known", key[:60])
        try:
            result = float(value)
        except ValueError:
            result = -1.0
        if not 0 < result < 1:
            raise _refused("chunking_strategy[threshold] must be between 0 and 1", key)
    return result


def _translating(options: DecodingOptions, recogniser: Recogniser) -> DecodingOptions:
    """`options` for a translation.

    Raises:
        RefusedError: 404, the model does not translate.
    """
    options = replace(options, task="translate")
    try:
        recogniser.check(options)
    except SecateurError as problem:
        raise RefusedError(404, "invalid_request_error", f"Translation: {problem}", param="model") from problem
    return options


def _text(form: FormData, key: str) -> str | None:
    value = form.get(key)
    return value.strip() or None if isinstance(value, str) else None


def _list(form: FormData, key: str) -> list[str]:
    """Values of a field that comes several times, with brackets or without."""
    result = [value.strip() for name in (f"{key}[]", key) for value in form.getlist(name) if isinstance(value, str)]
    return [value for value in result if value]


def _flag(form: FormData, key: str) -> bool:
    value = (_text(form, key) or "false").lower()
    if value not in ("true", "false", "1", "0"):
        raise _refused(f"{key} is true or false", key)
    return value in ("true", "1")


def _refused(message: str, param: str) -> RefusedError:
    return RefusedError(400, "invalid_request_error", message, param=param)

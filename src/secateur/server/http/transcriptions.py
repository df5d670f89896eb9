"""`POST /v1/audio/transcriptions`, as OpenAI's clients call it."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any, BinaryIO

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse
from starlette.datastructures import FormData, UploadFile

from ...audio.read import read_audio
from ...base.errors import SecateurError
from ...decode.options import DecodingOptions
from ...decode.segments import Audio, quiet_cuts
from ...runtime.recogniser import Recogniser
from ...runtime.subtitles import TIMED
from ...runtime.transcript import Transcript
from .answers import FORMATS, TYPES, brief, event, plain, verbose
from .engine import Engine, RefusedError

PIECE = 15.0  # seconds of audio behind one streamed delta, at the most


def routes(engine: Engine) -> APIRouter:
    """The routes of OpenAI's API."""
    router = APIRouter()

    @router.post("/v1/audio/transcriptions")
    async def transcriptions(request: Request) -> Response:
        async with request.form(max_files=1, max_fields=64, max_part_size=64 * 1024) as form:
            recogniser = engine.model(_text(form, "model"))
            options, shape, granularities = _asked(form, engine.listening.decoding)
            file = _upload(form)
            if _text(form, "stream") in ("true", "True", "1"):
                audio = await engine.recognise(_audio, recogniser, file, engine.limits.seconds)
                return StreamingResponse(_events(engine, recogniser, audio, options), media_type="text/event-stream")
            transcript = await engine.recognise(_transcribe, recogniser, file, options, engine.limits.seconds)
        engine.metrics.audio.inc(transcript.duration)
        if shape in TYPES:
            return Response(plain(transcript, shape), media_type=TYPES[shape] + "; charset=utf-8")
        return JSONResponse(brief(transcript) if shape == "json" else verbose(transcript, granularities))

    @router.get("/v1/models")
    async def models() -> dict[str, Any]:
        return {"object": "list", "data": [_card(engine, name) for name in engine.models]}

    @router.get("/v1/models/{name}")
    async def model(name: str) -> dict[str, Any]:
        engine.model(name)
        return _card(engine, name)

    return router


async def _events(engine: Engine, recogniser: Recogniser, audio: Audio, options: DecodingOptions) -> AsyncIterator[str]:
    """The text as it is found, piece after piece of the recording."""
    texts: list[str] = []
    async with engine.served():
        try:
            for a, b in quiet_cuts(audio, round(PIECE * recogniser.sample_rate), recogniser.sample_rate):
                found = await asyncio.wait_for(
                    engine.in_turn(recogniser.transcribe, audio[a:b], options), engine.limits.timeout
                )
                engine.metrics.audio.inc(found.duration)
                if found.text:
                    delta = (" " if texts else "") + found.text
                    texts.append(delta)
                    yield event("transcript.text.delta", delta=delta)
        except (SecateurError, TimeoutError) as problem:
            yield event("error", error={"message": str(problem) or "not done in time", "type": "server_error"})
            return
        yield event("transcript.text.done", text="".join(texts))
        yield "data: [DONE]\n\n"


def _transcribe(recogniser: Recogniser, file: BinaryIO, options: DecodingOptions, longest: float) -> Transcript:
    return recogniser.transcribe(_audio(recogniser, file, longest), options)


def _audio(recogniser: Recogniser, file: BinaryIO, longest: float) -> Audio:
    """Samples of an upload; what the client calls its file is not looked at.

    Uploads lie on the disk until their turn: only as many are in memory as are recognised at a time.

    Raises:
        RefusedError: 413, longer than the limit; 400, not audio.
    """
    try:
        return read_audio(io.BytesIO(file.read()), recogniser.sample_rate, longest)
    except SecateurError as problem:
        if "more than the limit" in str(problem):
            raise RefusedError(413, "invalid_request_error", f"{problem}".replace("hours long", "h long")) from problem
        raise


def _asked(form: FormData, usual: DecodingOptions) -> tuple[DecodingOptions, str, frozenset[str]]:
    """Options (`usual` where the form says nothing), response format and granularities of a form.

    Raises:
        RefusedError: 400, a value that is not one of those known.
    """
    shape = _text(form, "response_format") or "json"
    if shape not in FORMATS:
        known = ", ".join(FORMATS)
        raise RefusedError(400, "invalid_request_error", f"response_format '{shape[:40]}' is not one of {known}")
    keys = ("timestamp_granularities[]", "timestamp_granularities")
    wanted = frozenset(str(value) for key in keys for value in form.getlist(key)) or frozenset({"segment"})
    if not wanted <= {"word", "segment"}:
        raise RefusedError(400, "invalid_request_error", "timestamp_granularities are word and segment")
    try:
        heat = float(_text(form, "temperature") or 0)
    except ValueError:
        heat = -1.0
    if not 0 <= heat <= 1:
        raise RefusedError(400, "invalid_request_error", "temperature must be a number from 0 to 1")
    prompt = _text(form, "prompt")
    terms = [str(value) for key in ("keywords[]", "keywords") for value in form.getlist(key)]
    words = (*usual.words, *terms, *([prompt] if prompt else []))
    options = replace(usual, language=_text(form, "language") or usual.language, words=words)
    if heat:
        options = replace(options, temperatures=(heat,))
    return replace(options, word_times=shape in ("verbose_json", *TIMED)), shape, wanted


def _upload(form: FormData) -> BinaryIO:
    file = form.get("file")
    if not isinstance(file, UploadFile):
        raise RefusedError(400, "invalid_request_error", "the form has no part 'file' with a recording")
    return file.file


def _text(form: FormData, key: str) -> str | None:
    value = form.get(key)
    return value.strip() or None if isinstance(value, str) else None


def _card(engine: Engine, name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": engine.started, "owned_by": "secateur"}

"""`POST /v1/audio/transcriptions` and `/v1/audio/translations`, as OpenAI's clients call them."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from typing import BinaryIO, Protocol

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse
from starlette.datastructures import FormData

from ...audio.read import read_audio
from ...base.errors import SecateurError
from ...base.files import Json
from ...decode.segments import Audio, Transcript, quiet_cuts
from ...runtime.recogniser import Recogniser
from .answers import TYPES, brief, event, logprobs, pieces_of, plain, verbose
from .asked import MOST_FIELDS, Asked, asked_of, opened, upload_of
from .docs import TRANSCRIBE, TRANSLATE
from .engine import Engine, RefusedError
from .presence import SCOPE, while_there

PIECE = 15.0  # seconds of audio behind one streamed delta, at the most
LARGE = 500_000  # bytes of a recording whose memory is handed back at once


class PhraseMode(Protocol):
    """Recognition of nothing but some sentences, where there is an assistant: see `assistant.asked`."""

    def recognise(self, recogniser: Recogniser, audio: Audio, asked: Asked) -> Json:
        """The answer as JSON: `text`, empty where none of them was said, and `phrase` with what it means.

        Raises:
            SecateurError: sentences that cannot be read, or a model that is not for this.
        """


def routes(engine: Engine, phrase_mode: PhraseMode | None = None) -> APIRouter:
    """The routes of OpenAI's API."""
    router = APIRouter()

    @router.post("/v1/audio/transcriptions", openapi_extra=TRANSCRIBE, tags=["OpenAI"])
    async def transcriptions(request: Request) -> Response:
        """Transcribe a recording."""
        return await answered(request, "transcribe")

    @router.post("/v1/audio/translations", openapi_extra=TRANSLATE, tags=["OpenAI"])
    async def translations(request: Request) -> Response:
        """Translate a recording into English; 404 where the model cannot."""
        return await answered(request, "translate")

    async def answered(request: Request, task: str) -> Response:
        transport = request.scope.get(SCOPE)
        async with request.form(max_files=1, max_fields=MOST_FIELDS, max_part_size=1 << 20) as form:
            recogniser = engine.model(_model(form))
            asked = asked_of(form, recogniser, engine.listening.decoding, task)
            upload = upload_of(form)
            file, seconds = opened(upload), engine.limits.seconds
            try:
                if asked.constrained:
                    if phrase_mode is None:
                        raise SecateurError("phrases and grammar need the assistant, which this server has not")
                    work = engine.recognise(_constrained, phrase_mode, recogniser, file, asked, seconds)
                    answer = await while_there(transport, work)
                    return Response(answer["text"] + "\n") if asked.shape == "text" else JSONResponse(answer)
                if asked.stream:
                    audio = await while_there(transport, engine.recognise(_audio, recogniser, file, seconds))
                    texts = _events(engine, recogniser, audio, asked)
                    return StreamingResponse(texts, media_type="text/event-stream")
                work_of_all = engine.recognise(_transcribe, recogniser, file, asked, seconds)
                transcript = await while_there(transport, work_of_all)
            finally:
                if (upload.size or 0) > LARGE and not asked.stream:
                    engine.later(recogniser.give_back)
        engine.metrics.audio.inc(transcript.duration)
        if asked.shape in TYPES:
            return Response(plain(transcript, asked.shape), media_type=TYPES[asked.shape] + "; charset=utf-8")
        pieces = pieces_of(recogniser, transcript) if asked.logprobs or asked.shape == "verbose_json" else []
        if asked.shape == "json":
            return JSONResponse(brief(transcript, pieces if asked.logprobs else None))
        result = verbose(transcript, asked.granularities, pieces, task)
        return JSONResponse(result | ({"logprobs": logprobs(pieces)} if asked.logprobs else {}))

    @router.get("/v1/models", tags=["OpenAI"])
    async def models() -> Json:
        """List the models; the first is the default, whatever OpenAI's own name a client sends."""
        return {"object": "list", "data": [_card(engine, name) for name in engine.models]}

    @router.get("/v1/models/{name}", tags=["OpenAI"])
    async def model(name: str) -> Json:
        """Describe one model."""
        engine.model(name)
        return _card(engine, name)

    return router


async def _events(engine: Engine, recogniser: Recogniser, audio: Audio, asked: Asked) -> AsyncIterator[str]:
    """The text as it is decoded, piece after piece of the recording; a client that leaves cancels this."""
    texts: list[str] = []
    every: list[Json] = []
    rate, large = recogniser.sample_rate, audio.nbytes > LARGE
    try:
        async with engine.served():
            for a, b in quiet_cuts(audio, round(PIECE * rate), rate):
                result = await asyncio.wait_for(
                    engine.in_turn(recogniser.transcribe, audio[a:b], asked.options), engine.limits.timeout
                )
                engine.metrics.audio.inc(result.duration)
                if result.text:
                    delta = (" " if texts else "") + result.text
                    texts.append(delta)
                    more = {"logprobs": logprobs(pieces_of(recogniser, result))} if asked.logprobs else {}
                    every += more.get("logprobs", [])
                    yield event("transcript.text.delta", delta=delta, **more)
            whole = {"logprobs": every} if asked.logprobs else {}
            yield event("transcript.text.done", text="".join(texts), **whole)
            yield "data: [DONE]\n\n"
    except (SecateurError, TimeoutError) as problem:
        yield event("error", error={"message": str(problem) or "not done in time", "type": "server_error"})
    finally:
        del audio
        if large:
            engine.later(recogniser.give_back)


def _constrained(phrase_mode: PhraseMode, recogniser: Recogniser, file: BinaryIO, asked: Asked, longest: float) -> Json:
    return phrase_mode.recognise(recogniser, _audio(recogniser, file, longest), asked)


def _transcribe(recogniser: Recogniser, file: BinaryIO, asked: Asked, longest: float) -> Transcript:
    return recogniser.transcribe(_audio(recogniser, file, longest), asked.options)


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


def _model(form: FormData) -> str | None:
    value = form.get("model")
    return value.strip() or None if isinstance(value, str) else None


def _card(engine: Engine, name: str) -> Json:
    return {"id": name, "object": "model", "created": engine.started, "owned_by": "secateur"}

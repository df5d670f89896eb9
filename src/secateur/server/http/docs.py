"""`/openapi.json`, and `/docs`: the same as one page without a script, which works offline and under the CSP."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

from fastapi import APIRouter, FastAPI, Response

_TEXT = {"type": "string"}
_MANY = {"type": "array", "items": _TEXT}


def _form(**fields: tuple[Mapping[str, object], str]) -> dict[str, Any]:
    """A form's fields, each with its type and its help; `file` is needed."""
    properties = {name.replace("__", "[]"): {**kind, "description": help_} for name, (kind, help_) in fields.items()}
    schema = {"type": "object", "required": ["file"], "properties": properties}
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}}}


_FILE = ({"type": "string", "format": "binary"}, "A recording in any known format; its name is not looked at.")
_MODEL = (_TEXT, "A model of /v1/models; OpenAI's names and default mean the first.")
_PROMPT = (_TEXT, "Text to expect or to go on from, of any length; the last of it counts.")
_FORMAT = ({"type": "string", "enum": ["json", "text", "srt", "vtt", "verbose_json"]}, "Left out: json.")
_HEAT = (
    {"type": "number", "minimum": 0, "maximum": 1},
    "Sample at this temperature, hotter where the text is not trusted. 0: the likeliest text first.",
)

TRANSCRIBE = _form(
    file=_FILE, model=_MODEL, prompt=_PROMPT, response_format=_FORMAT, temperature=_HEAT,
    language=(_TEXT, "A code or name; auto or left out: detected by models that know several."),
    languages__=(_MANY, "Languages that are possible; taken where the model knows one of them."),
    keywords__=(_MANY, "Words to expect."),
    timestamp_granularities__=(_MANY, "word, segment or both, with verbose_json."),
    include__=(_MANY, "logprobs: the log probability of every token, with json or verbose_json."),
    stream=({"type": "boolean"}, "Answer with server-sent events: transcript.text.delta, then transcript.text.done."),
    chunking_strategy=(_TEXT, "auto, or server_vad with chunking_strategy[threshold]."),
    phrases__=(_MANY, "Phrase mode: one of these sentences was said, or none (json, text)."),
    grammar=(_TEXT, "Phrase mode: a sentence of this grammar, by name (home, coffee) or as TOML (json, text)."),
)  # fmt: skip
TRANSLATE = _form(file=_FILE, model=_MODEL, prompt=_PROMPT, response_format=_FORMAT, temperature=_HEAT)

SOCKETS = (
    ("/v1/listen", "16-bit PCM in, partial and final texts out",
     'Send {"type": "start", "sample_rate": 16000, "key": ...}, binary messages, {"type": "end"}.'),
    ("/v1/realtime", "OpenAI's realtime transcription",
     "session.update, input_audio_buffer.append, .commit, .clear; server VAD; pcm16 at 24 kHz, g711."),
    ("/v1/assistant/listen", "as /v1/listen, and an answer to every command", "Where the server has an assistant."),
)  # fmt: skip

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color-scheme: light dark }
code { font-family: ui-monospace, monospace; overflow-wrap: anywhere }
table { border-collapse: collapse; width: 100% } td, th { text-align: left; vertical-align: top; padding: .2rem .8rem .2rem 0 }
section { border-top: 1px solid; padding: .5rem 0 }
"""  # noqa: E501


def routes(app: FastAPI) -> APIRouter:
    """Both, of all that `app` serves when they are asked for."""
    router = APIRouter()

    @router.get("/openapi.json", include_in_schema=False)
    async def schema() -> dict[str, Any]:
        return app.openapi()

    @router.get("/docs", include_in_schema=False)
    async def page() -> Response:
        return Response(html(app.openapi()), media_type="text/html; charset=utf-8")

    return router


def html(schema: Mapping[str, Any]) -> str:
    """The page of an OpenAPI schema, and of the WebSockets, which it cannot describe."""
    parts = [
        f"<p>An HTTP request has the key, where there is one, as <code>Authorization: Bearer KEY</code>. Errors are "
        f'<code>{escape(_ERROR)}</code>. The schema: <a href="openapi.json">openapi.json</a>.</p>'
    ]
    for path, methods in schema["paths"].items():
        for method, about in methods.items():
            parts.append(_section(f"{method.upper()} {path}", about.get("description", ""), _fields(about)))
    for path, what, how in SOCKETS:
        parts.append(_section(f"WebSocket {path}", f"{what}. {how}", []))
    title = f"{escape(schema['info']['title'])} {escape(schema['info']['version'])}"
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title}</title>'
    return f'<!doctype html><html lang="en">{head}<style>{_STYLE}</style><h1>{title}</h1>{"".join(parts)}</html>'


_ERROR = '{"error": {"message": ..., "type": ..., "param": ..., "code": ...}}'


def _section(title: str, text: str, fields: list[tuple[str, str, str]]) -> str:
    rows = "".join(
        f"<tr><td><code>{escape(name)}</code><td>{escape(kind)}<td>{escape(help_)}" for name, kind, help_ in fields
    )
    table = f"<table><tr><th>field<th>type<th>what{rows}</table>" if fields else ""
    return f"<section><h2><code>{escape(title)}</code></h2><p>{escape(text)}</p>{table}</section>"


def _fields(about: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Name, type and help of parameters and of the body's fields."""
    given = about.get("parameters", ())
    rows = [(one["name"], _kind(one.get("schema", {})), one.get("description", one["in"])) for one in given]
    for content in about.get("requestBody", {}).get("content", {}).values():
        for name, one in content.get("schema", {}).get("properties", {}).items():
            rows.append((name, _kind(one), one.get("description", "")))
    return rows


def _kind(schema: Mapping[str, Any]) -> str:
    if "enum" in schema:
        return " | ".join(map(str, schema["enum"]))
    return str(schema.get("format") or schema.get("type") or "")

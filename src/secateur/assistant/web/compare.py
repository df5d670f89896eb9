"""What the page's second tab asks: one clip transcribed by every model, their layers, plots from a folder."""

from __future__ import annotations

import io
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse
from starlette.datastructures import UploadFile

from ...audio.read import read_audio
from ...base.errors import SecateurError
from ...base.files import Json
from ...decode.options import DecodingOptions
from ...models.family import family_of
from ...runtime.recogniser import Recogniser
from ...server.http.engine import Engine, RefusedError
from ...server.http.presence import SCOPE, while_there

SHOWN = frozenset({".json", ".png", ".svg", ".webp"})
LONGEST = 60.0  # seconds of a clip


@dataclass(frozen=True)
class Loaded:
    """A model of the server, and the folder it came from."""

    name: str
    folder: Path
    recogniser: Recogniser

    def card(self) -> Json:
        """Name, size, parameters, and the widths of every layer."""
        config = self.recogniser.config
        size = sum(path.stat().st_size for path in self.folder.iterdir() if path.is_file())
        card: Json = {"name": self.name, "megabytes": size / 1e6, "parameters": None, "layers": {}}
        family = family_of(config)
        card["parameters"] = family.parameters(config)
        card["layers"] = layers(config)
        whole = family.original(config) if family.original is not None else None
        card["original"] = None if whole is None else {"name": whole[0], "layers": layers(whole[1])}
        return card


def layers(config: Any) -> dict[str, int]:
    """Widths by what a reader calls them, where the family has a table of them; layers are counted from 1."""
    table = family_of(config).layers
    if table is None:
        return {}
    rows = table(config)
    widths = {name: count for name, count in rows.get("", {}).items() if not name.endswith("layers")}
    for row, columns in rows.items():
        side, _, number = row.partition(" ")
        if number:
            widths |= {f"{side} {int(number) + 1}: {column}": count for column, count in columns.items()}
    return widths


def compare_routes(engine: Engine, models: Sequence[Loaded], plots: Path | None) -> APIRouter:
    """Routes of the comparison.

    Raises:
        SecateurError: the folder of plots is not there.
    """
    if plots is not None and not plots.is_dir():
        raise SecateurError(f"{plots}: no such folder of plots")
    # Only these files are ever served: a name that a client sends is looked up here, not on the disk.
    files = {path.name: path for path in sorted(plots.iterdir()) if path.suffix in SHOWN} if plots else {}
    cards = {model.name: model.card() for model in models}
    router = APIRouter()

    @router.get("/v1/compare")
    async def about() -> Json:
        return {"models": list(cards.values()), "plots": list(files)}

    @router.post("/v1/compare")
    async def compare(request: Request) -> Json:
        async with request.form(max_files=1, max_fields=4) as form:
            file = form.get("file")
            if not isinstance(file, UploadFile):
                raise RefusedError(400, "invalid_request_error", "the form has no part 'file' with a recording")
            results = []
            seconds = 0.0
            for model in models:
                work = engine.recognise(_timed, model.recogniser, file.file)
                text, milliseconds, seconds = await while_there(request.scope.get(SCOPE), work)
                results.append({**cards[model.name], "text": text, "ms": milliseconds})
        return {"models": results, "seconds": seconds}

    @router.get("/v1/plots/{name}")
    async def plot(name: str) -> FileResponse:
        if name not in files:
            raise RefusedError(404, "invalid_request_error", "no such plot")
        return FileResponse(files[name])

    return router


def _timed(recogniser: Recogniser, file: BinaryIO) -> tuple[str, int, float]:
    """Text, milliseconds from samples to text, seconds of audio."""
    file.seek(0)
    samples = read_audio(io.BytesIO(file.read()), recogniser.sample_rate, LONGEST)
    begun = time.perf_counter()
    results = recogniser.transcribe(samples, DecodingOptions(timestamps=False, temperatures=(0.0,)))
    return results.text, round(1000 * (time.perf_counter() - begun)), results.duration

"""Values of foreign JSON files, checked: a wrong type or an absurd size is an error that names the file and the key."""

from __future__ import annotations

from pathlib import Path
from typing import TypeGuard

from ..base.errors import SecateurError
from ..base.files import Json, read_json

# Upper bounds of a model's widths: what a foreign checkpoint claims is compared with them before anything is built.
MOST = {
    "width": 16384, "heads": 512, "ffn": 65536, "encoder_layers": 512, "decoder_layers": 512, "vocabulary": 1_000_000,
    "audio_context": 100_000, "text_context": 100_000, "bins": 1024,
}  # fmt: skip


def read_table(path: Path, optional: bool = False) -> Json:
    """The object in a JSON file; an empty one where an `optional` file is missing.

    Raises:
        SecateurError: missing, not JSON, or something other than an object.
    """
    if optional and not path.is_file():
        return {}
    values = read_json(path)
    if not isinstance(values, dict):
        raise SecateurError(f"{path}: expected a table of keys, found {type(values).__name__}")
    return values


def is_id(value: object) -> TypeGuard[int]:
    """Whether `value` could be the id of a token (-1 stands for "none" in some files)."""
    return isinstance(value, int) and not isinstance(value, bool)


def one_id(values: Json, key: str, where: str) -> int | None:
    """The token id under `key`; of a list of ids the first.

    Raises:
        SecateurError: something else.
    """
    value: object = values.get(key)
    if isinstance(value, list) and value:
        value = value[0]
    if value is None or is_id(value):
        return value
    raise SecateurError(f"{where}: {key} is {value!r}, expected the id of a token")


def some_ids(values: Json, key: str, where: str) -> list[int] | None:
    """The list of token ids under `key`.

    Raises:
        SecateurError: something else.
    """
    ids = values.get(key)
    if ids is None or (isinstance(ids, list) and all(map(is_id, ids))):
        return ids
    raise SecateurError(f"{where}: {key} is not a list of token ids")


def named_ids(values: Json, key: str, where: str) -> dict[str, int]:
    """The table of names and token ids under `key`, empty where there is none.

    Raises:
        SecateurError: something else.
    """
    table = values.get(key) or {}
    if not isinstance(table, dict) or not all(map(is_id, table.values())):
        raise SecateurError(f"{where}: {key} is not a table of token ids")
    return table

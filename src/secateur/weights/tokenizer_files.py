"""The tokenizer of a foreign checkpoint, from whichever files it comes with."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from ..base.errors import SecateurError
from ..base.files import Json, read_json, read_limited
from ..text.tokenizer import Tokenizer

END = "<|endoftext|>"
# In the order in which they are looked for.
FILES = ("tokenizer.json", "vocab.json", "vocabulary.json", "vocabulary.txt")


def read_tokenizer(folder: Path, end: int | None = None) -> tuple[Tokenizer, dict[str, int]]:
    """The tokenizer in `folder` and its special tokens (name to id).

    Read from tokenizer.json; from vocab.json + merges.txt (older `transformers`); or from vocabulary.json or .txt
    (CTranslate2), whose merges are recovered from the order of the tokens. `end` is needed only where the files do not
    name their end token.

    Raises:
        SecateurError: none of these files, or one that is not a byte-level BPE.
    """
    path = next((folder / name for name in FILES if (folder / name).is_file()), None)
    if path is None:
        raise SecateurError(f"{folder}: no tokenizer here; copy the tokenizer.json of the same model into this folder")
    try:
        if path.name == "tokenizer.json":
            values = read_json(path)
            special = {str(t["content"]): int(t["id"]) for t in values.get("added_tokens", ())}
            special = {name: i for name, i in special.items() if name.startswith("<|")}
        else:
            ids = _token_ids(path)
            special = {token: i for token, i in ids.items() if token.startswith("<|") and token.endswith("|>")}
            plain = {token: i for token, i in ids.items() if token not in special}
            values = definition(plain, _merges(path, plain))
            special |= read_json(folder / "added_tokens.json") if (folder / "added_tokens.json").is_file() else {}
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError) as problem:
        raise SecateurError(f"{path}: not a byte-level BPE tokenizer ({problem})") from problem
    end = special.get(END, end)
    if end is None:
        raise SecateurError(f"{path}: not a Whisper tokenizer, it has no {END}")
    if path.name == "tokenizer.json":
        return Tokenizer.read(path, end), special
    return Tokenizer(json.dumps(values, ensure_ascii=False), end), special


@dataclass(frozen=True)
class AddedToken:
    """A token beside those that were learnt: its id, and whether it is left out of texts."""

    id: int
    special: bool


def added_tokens(folder: Path) -> dict[str, AddedToken]:
    """The tokens that were added to the tokenizer in `folder`, by name, from whichever files list them.

    Raises:
        SecateurError: a file that is not JSON.
    """
    added: dict[str, AddedToken] = {}
    for name in ("tokenizer_config.json", "tokenizer.json", "added_tokens.json"):
        values = read_json(folder / name) if (folder / name).is_file() else {}
        values = values if isinstance(values, dict) else {}
        if name == "added_tokens.json":
            listed = [{"content": token, "id": i, "special": token.startswith("<|")} for token, i in values.items()]
        elif name == "tokenizer.json":
            listed = values.get("added_tokens") or []
        else:
            decoder = values.get("added_tokens_decoder") or {}
            listed = [{**token, "id": i} for i, token in decoder.items() if isinstance(token, dict)]
        for token in listed if isinstance(listed, list) else []:
            if isinstance(token, dict) and str(token.get("id")).isdigit():
                one = AddedToken(int(token["id"]), bool(token.get("special")))
                added.setdefault(str(token.get("content")), one)
    return added


def definition(vocabulary: dict[str, int], merges: list[tuple[str, str]]) -> Json:
    """A byte-level BPE as `tokenizers` reads it."""
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    return {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": None,
        "pre_tokenizer": level, "post_processor": None, "decoder": level,
        "model": {"type": "BPE", "vocab": vocabulary, "merges": [list(pair) for pair in merges]},
    }  # fmt: skip


def recovered_merges(vocabulary: dict[str, int]) -> list[tuple[str, str]]:
    """The merges of a byte-level BPE from its tokens alone, which are numbered in the order they were learned.

    A token was made by one merge of two older ones: those that all older merges leave when they spell it.
    """
    merges = []
    for token in sorted(vocabulary, key=vocabulary.__getitem__):
        if len(token) < 2:
            continue
        parts = list(token)
        while len(parts) > 2:
            ranks = [vocabulary.get(a + b, len(vocabulary)) for a, b in pairwise(parts)]
            best = min(range(len(ranks)), key=ranks.__getitem__)
            if ranks[best] >= vocabulary[token]:
                raise ValueError(f"'{token}' is not made of two older tokens")
            parts[best : best + 2] = [parts[best] + parts[best + 1]]
        merges.append((parts[0], parts[1]))
    return merges


def _token_ids(path: Path) -> dict[str, int]:
    """Tokens and their ids from vocab.json ({token: id}), vocabulary.json ([token]) or vocabulary.txt (one a line)."""
    if path.suffix == ".txt":
        lines = read_limited(path).decode().split("\n")
        return {token: i for i, token in enumerate(lines) if token}
    values = read_json(path)
    if isinstance(values, list):
        values = {token: i for i, token in enumerate(values)}
    return {str(token): int(i) for token, i in values.items()}


def _merges(path: Path, vocabulary: dict[str, int]) -> list[tuple[str, str]]:
    listed = path.with_name("merges.txt")
    if not listed.is_file():
        return recovered_merges(vocabulary)
    lines = read_limited(listed).decode().split("\n")
    pairs = [line.split(" ") for line in lines if line and not line.startswith("#version")]
    return [(left, right) for left, right in pairs]

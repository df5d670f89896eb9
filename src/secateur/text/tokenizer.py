"""Byte-level BPE (Sennrich et al. 2016; GPT-2's bytes) through `tokenizers`, and its reduction to fewer rows."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Self

from ..base.errors import SecateurError
from ..base.files import Json, read_json, write_text

PARTS = frozenset({
    "BPEDecoder", "ByteFallback", "ByteLevel", "Fuse", "Lowercase", "Metaspace", "NFC", "NFD", "NFKC", "NFKD", "Nmt",
    "Precompiled", "Prepend", "Replace", "Sequence", "Strip", "StripAccents", "Whitespace", "WhitespaceSplit",
})  # fmt: skip
LISTS = ("normalizers", "pretokenizers", "decoders")
MOST_PARTS = 16
LONGEST = 64  # letters of a text that a part replaces or prepends


class Tokenizer:
    """Text to ids and back for one vocabulary. Ids from `end` on are special and never part of text."""

    def __init__(self, definition: str, end: int) -> None:
        from tokenizers import Tokenizer as Library

        self.definition, self.end = definition, end
        try:
            self._library = Library.from_str(definition)
        except Exception as problem:  # the library raises bare Exception on bad input
            raise SecateurError(f"tokenizer.json cannot be read ({problem})") from problem

    @classmethod
    def read(cls, path: str | Path, end: int) -> Self:
        """From a `tokenizer.json`; special tokens and post-processing in it are left out (see `Tokens.prompt`).

        Raises:
            SecateurError: missing or not a BPE.
        """
        try:
            definition = _plain(read_json(path))
            check_parts(json.loads(definition), str(path))
        except (ValueError, KeyError, TypeError, AttributeError) as problem:
            raise SecateurError(f"{path}: not a tokenizer ({problem})") from problem
        return cls(definition, end)

    def write(self, path: str | Path) -> None:
        """Write `tokenizer.json`, atomically."""
        write_text(path, self.definition)

    def encode(self, text: str) -> list[int]:
        """Ids of `text`, with the leading space that Whisper's transcripts begin with."""
        return list(self._library.encode(" " + text.strip(), add_special_tokens=False).ids)

    def encode_exactly(self, text: str) -> list[int]:
        """Ids of `text` as it stands."""
        return list(self._library.encode(text, add_special_tokens=False).ids)

    def decode(self, ids: Sequence[int]) -> str:
        """The text of `ids`; special ids are left out, broken UTF-8 becomes U+FFFD."""
        return str(self._library.decode([i for i in ids if i < self.end], skip_special_tokens=False))

    def __len__(self) -> int:
        return self.end

    @cached_property
    def numbers(self) -> list[int]:
        """Text tokens with a digit or a sign that is read as a word (per cent, currencies), as "twelve" has none."""
        signs = [sign.encode() for sign in "0123456789%$£€¥"]
        return sorted(i for i, spelling in self.spelled().items() if any(sign in spelling for sign in signs))

    def vocabulary(self) -> dict[str, int]:
        """Every text token's id by its name in the file."""
        names: dict[str, int] = json.loads(self.definition)["model"]["vocab"]
        return names

    def spelled(self) -> dict[int, bytes]:
        """The bytes of every text token."""
        vocabulary = self.vocabulary()
        letters = _bytes_of_letters()
        return {
            token: bytes(letters[letter] for letter in name)
            for name, token in vocabulary.items()
            if token < self.end and all(letter in letters for letter in name)
        }

    def spelled_like(self, ids: Iterable[int]) -> list[int]:
        """All text ids, the most frequent first, that are spelled only with bytes that `ids` are spelled with.

        BPE numbers tokens in the order it learnt them, the most frequent first.
        """
        names = {i: name for name, i in self.vocabulary().items()}
        alphabet = set("".join(names[i] for i in ids if i in names))
        return [i for i in sorted(names) if set(names[i]) <= alphabet]

    def parents(self) -> dict[int, tuple[int, int]]:
        """The two tokens that each merged token is made of."""
        model = json.loads(self.definition)["model"]
        vocabulary: dict[str, int] = model["vocab"]
        return {
            vocabulary[left + right]: (vocabulary[left], vocabulary[right])
            for left, right in map(pair_of, model["merges"])
        }

    def closed(self, ids: Iterable[int]) -> list[int]:
        """`ids` with every token that merging needs on the way to them, and all 256 bytes, sorted.

        With that closure, any text whose tokens are all in `ids` is encoded exactly as before: a subset of the
        merges, applied in the same order, can only take the same steps.
        """
        model = json.loads(self.definition)["model"]
        vocabulary: dict[str, int] = model["vocab"]
        parents = {left + right: (left, right) for left, right in map(pair_of, model["merges"])}
        names = {i: name for name, i in vocabulary.items()}
        kept: set[int] = {i for name, i in vocabulary.items() if len(name) == 1}  # the byte alphabet
        todo = [i for i in ids if i < self.end]
        while todo:
            i = todo.pop()
            if i in kept:
                continue
            kept.add(i)
            todo += [vocabulary[part] for part in parents.get(names[i], ())]
        return sorted(kept)

    def reduced(self, kept: Sequence[int], end: int) -> Tokenizer:
        """The tokenizer of a vocabulary that keeps the text rows `kept` (closed, sorted), renumbered from 0."""
        return Tokenizer(self._reduced_definition(kept), end)

    def _reduced_definition(self, kept: Sequence[int]) -> str:
        values = json.loads(self.definition)
        model = values["model"]
        new = {old: i for i, old in enumerate(kept)}
        model["vocab"] = {name: new[i] for name, i in model["vocab"].items() if i in new}
        model["merges"] = [[a, b] for a, b in map(pair_of, model["merges"]) if {a, b, a + b} <= model["vocab"].keys()]
        return json.dumps(values, ensure_ascii=False)


@lru_cache(maxsize=1)
def _bytes_of_letters() -> dict[str, int]:
    """GPT-2's printable letter for every byte, the other way round."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    codes = {chr(byte): byte for byte in plain}
    other = [byte for byte in range(256) if byte not in set(plain)]
    return codes | {chr(256 + i): byte for i, byte in enumerate(other)}


def pair_of(merge: Any) -> tuple[str, str]:
    """One merge rule, written as a pair or as one string with a space."""
    left, right = merge.split(" ") if isinstance(merge, str) else merge
    return left, right


def _plain(values: Json) -> str:
    """Only what turns text into ids: the BPE model and its byte-level pre-tokenizer and decoder."""
    model = values["model"]
    if model.get("type", "BPE") != "BPE":
        raise ValueError(f"{model['type']} instead of a byte-level BPE")
    special = {token["content"] for token in values.get("added_tokens", ()) if token["content"].startswith("<|")}
    model["vocab"] = {name: i for name, i in model["vocab"].items() if name not in special}
    return json.dumps({
        "version": values.get("version", "1.0"), "truncation": None, "padding": None, "added_tokens": [],
        "normalizer": values.get("normalizer"), "pre_tokenizer": values["pre_tokenizer"], "post_processor": None,
        "decoder": values["decoder"], "model": model,
    }, ensure_ascii=False)  # fmt: skip


def check_parts(values: Mapping[str, object], where: str) -> None:
    """Refuse a tokenizer with other parts, with more of them, or with patterns that are no plain text.

    Raises:
        SecateurError: that; the message begins with `where`.
    """
    todo = [values.get(key) for key in ("normalizer", "pre_tokenizer", "decoder", "post_processor")]
    count = 0
    while todo:
        part = todo.pop()
        if part is None:
            continue
        count += 1
        kind = part.get("type") if isinstance(part, dict) else None
        if kind not in PARTS and not (kind == "TemplateProcessing" and count <= MOST_PARTS):
            raise SecateurError(f"{where}: a tokenizer with the part {str(kind)[:40]}, which no speech model here uses")
        if count > MOST_PARTS:
            raise SecateurError(f"{where}: a tokenizer of more than {MOST_PARTS} parts")
        assert isinstance(part, dict)
        pattern = part.get("pattern", {"String": ""})
        if not isinstance(pattern, dict) or set(pattern) - {"String"}:
            raise SecateurError(f"{where}: a tokenizer that replaces by a regular expression")
        texts = [pattern.get("String"), part.get("content"), part.get("prepend"), part.get("replacement")]
        if any(isinstance(text, str) and len(text) > LONGEST for text in texts):
            raise SecateurError(f"{where}: a tokenizer that replaces more than {LONGEST} letters at once")
        for key in LISTS:
            inner = part.get(key)
            if inner is not None:
                if not isinstance(inner, list) or len(inner) > MOST_PARTS:
                    raise SecateurError(f"{where}: a tokenizer of more than {MOST_PARTS} parts")
                todo += inner

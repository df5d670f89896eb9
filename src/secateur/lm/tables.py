"""From n-grams in any order of words to the sorted tables of `NGram`, and to files: ours (.npz), ARPA, PocketSphinx."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..base.errors import SecateurError
from ..base.files import Json, atomic_path
from .ngram import LanguageModel, Level, Mixture, NGram

Grams = dict[tuple[str, ...], tuple[float, float]]  # words in reading order to (log probability, backoff)
MOST_RATIO = 100  # of what an .npz unpacks to over its size; ours are below 10
SPHINX = b"Trie Language Model"
LOG_SPHINX = float(np.log(1.0001))  # PocketSphinx keeps logarithms to this base


def build(words: Sequence[str], grams: Sequence[Mapping[tuple[str, ...], tuple[float, float]]]) -> NGram:
    """The model of n-grams by order; natural logarithms.

    Raises:
        SecateurError: a word without a 1-gram, or an n-gram with words that are not in `words`.
    """
    numbers = {word: i for i, word in enumerate(words)}
    tables = []
    for n, table in enumerate(grams, 1):
        try:
            ids = np.asarray([[numbers[word] for word in gram] for gram in table], np.int64).reshape(-1, n)
        except KeyError as missing:
            raise SecateurError(f"a {n}-gram has the word {missing}, which no 1-gram has") from None
        values = np.asarray(list(table.values()), np.float64).reshape(-1, 2)
        tables.append((ids, values))
    return from_tables(words, tables)


def from_tables(words: Sequence[str], tables: Sequence[tuple[NDArray[np.int64], NDArray[np.float64]]]) -> NGram:
    """The same from numbers of words (n-grams, n) in reading order and values (n-grams, 2)."""
    ids, values = tables[0]
    if sorted(ids[:, 0].tolist()) != list(range(len(words))):
        raise SecateurError("every word of a language model needs one 1-gram")
    order = np.argsort(ids[:, 0])
    levels = [_level(ids[order, 0], values[order])]
    for n in range(2, len(tables) + 1):
        ids, values = tables[n - 1]
        below = ids[:, 1:]
        rows = _rows(below, levels, len(words))
        missing = rows < 0
        if missing.any():  # pruned models may lack the shorter n-gram: its score is that of backing off
            levels = _filled(below[missing], levels, words, n - 1)
            rows = _rows(below, levels, len(words))
        keys = rows * len(words) + ids[:, 0]
        order = np.argsort(keys)
        levels.append(_level(keys[order], values[order]))
    return NGram(words, levels)


def _level(keys: NDArray[np.int64], values: NDArray[np.floating]) -> Level:
    return Level(keys.astype(np.int64), values[:, 0].astype(np.float32), values[:, 1].astype(np.float32))


def _rows(ids: NDArray[np.int64], levels: Sequence[Level], words: int) -> NDArray[np.int64]:
    """Rows of n-grams (count, n) in the level of their order; -1 for what is not there."""
    row = ids[:, -1]
    for depth in range(1, ids.shape[1]):
        keys = levels[depth].keys
        target = row * words + ids[:, -1 - depth]
        position = keys.searchsorted(target).clip(0, max(len(keys) - 1, 0))
        present = (keys[position] == target) & (row >= 0) if len(keys) else np.zeros(len(ids), bool)
        row = np.where(present, position, -1)
    return row


def _filled(ids: NDArray[np.int64], levels: list[Level], words: Sequence[str], order: int) -> list[Level]:
    """`levels` with further n-grams of the highest order so far, which score as backing off does."""
    model = NGram(words, levels)
    unique = np.unique(ids, axis=0)
    if order > 2 and (_rows(unique[:, 1:], levels, len(words)) < 0).any():
        raise SecateurError("n-grams lack both their parts: write the language model with all its orders")
    scores = [model.score(int(gram[-1]), tuple(int(w) for w in gram[-2::-1])) for gram in unique]
    keys = _rows(unique[:, 1:], levels, len(words)) * len(words) + unique[:, 0]
    top = levels[order - 1]
    joined = np.concatenate([top.keys, keys])
    order_of = np.argsort(joined)
    level = Level(
        joined[order_of],
        np.concatenate([top.log_probs, np.asarray(scores, np.float32)])[order_of],
        np.concatenate([top.backoffs, np.zeros(len(keys), np.float32)])[order_of],
    )
    return [*levels[: order - 1], level]


def write_ngram(path: Path, model: NGram) -> None:
    """Write our own format, atomically: a compressed .npz that numpy alone reads."""
    arrays: Json = {"words": np.frombuffer("\n".join(model.words).encode(), np.uint8)}
    for n, level in enumerate(model.levels, 1):
        parents, firsts = np.divmod(level.keys, len(model.words)) if n > 1 else (level.keys, level.keys)
        arrays |= {f"parents{n}": parents.astype(np.int32), f"firsts{n}": firsts.astype(np.int32)}
        arrays |= {f"log_probs{n}": level.log_probs, f"backoffs{n}": level.backoffs}
    with atomic_path(path) as temporary, temporary.open("wb") as out:
        np.savez_compressed(out, **arrays)


def read_ngram(path: str | Path) -> NGram:
    """A language model in any known format, which its content decides.

    Raises:
        SecateurError: missing, damaged, or no known format.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            head = file.read(256)
        if head.startswith(b"PK"):
            return _read_own(path)
        if head.startswith(SPHINX):
            return _read_sphinx(path.read_bytes())
        if b"\\data\\" in head or head.lstrip().startswith(b"\\"):
            return _read_arpa(path)
    except SecateurError as problem:
        raise SecateurError(f"{path}: {problem}") from problem
    except FileNotFoundError:
        raise SecateurError(f"{path}: no such file") from None
    except Exception as problem:  # zip, zlib, numpy and text raise a dozen kinds of errors for damaged files
        raise SecateurError(f"{path}: not a whole language model ({problem})") from problem
    raise SecateurError(f"{path}: not a language model that is known here (.npz of `secateur lm`, ARPA, PocketSphinx)")


def read_models(paths: Sequence[Path], shares: Sequence[float] = ()) -> LanguageModel:
    """One language model, or several mixed, evenly where no `shares` are given.

    Raises:
        SecateurError: see `read_ngram`; another number of shares than of models, or one that is not above 0.
    """
    if shares and (len(shares) != len(paths) or min(shares) <= 0):
        raise SecateurError(f"{len(paths)} language models are mixed in as many shares above 0, found {list(shares)}")
    models = [read_ngram(path) for path in paths]
    return models[0] if len(models) == 1 else Mixture(models, shares or None)


def _read_own(path: Path) -> NGram:
    with zipfile.ZipFile(path) as packed:
        size = sum(one.file_size for one in packed.infolist())
        if size > MOST_RATIO * path.stat().st_size + (1 << 20):
            raise SecateurError(f"it unpacks to {size / 1e6:.0f} MB: not one of ours")
    with np.load(path, allow_pickle=False) as stored:
        words = stored["words"].tobytes().decode().split("\n")
        levels: list[Level] = []
        while f"parents{len(levels) + 1}" in stored:
            n = len(levels) + 1
            keys = stored[f"parents{n}"].astype(np.int64)
            if n > 1:
                keys = keys * len(words) + stored[f"firsts{n}"]
            levels.append(Level(keys, stored[f"log_probs{n}"], stored[f"backoffs{n}"]))
    return NGram(words, levels)


def _read_arpa(path: Path) -> NGram:
    """ARPA text: `log10 probability, words, log10 backoff`, one n-gram a line, under \\n-grams: headings."""
    scale = float(np.log(10))
    words: dict[str, int] = {}
    tables: list[tuple[list[list[int]], list[tuple[float, float]]]] = []
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            line = line.strip()
            if line.endswith("-grams:") and line.startswith("\\"):
                tables.append(([], []))
            elif line.startswith("\\end\\"):
                break
            elif line and tables and not line.startswith("\\"):
                n, parts = len(tables), line.split()
                gram = parts[1 : n + 1]
                if n == 1:
                    words.setdefault(gram[0], len(words))
                tables[-1][0].append([words[word] for word in gram])
                tables[-1][1].append((float(parts[0]), float(parts[n + 1]) if len(parts) > n + 1 else 0.0))
    if not tables or not words:
        raise SecateurError("no n-grams in it")
    return from_tables(
        list(words),
        [
            (np.asarray(ids, np.int64).reshape(-1, n), np.asarray(values, float).reshape(-1, 2) * scale)
            for n, (ids, values) in enumerate(tables, 1)
        ],
    )


def _read_sphinx(data: bytes) -> NGram:
    """PocketSphinx's binary trie: tables of 2^16 values, 1-grams, then bit-packed n-grams, last word first; words."""
    offset = len(SPHINX)
    order = data[offset]
    counts = np.frombuffer(data, "<u4", order, offset + 1).astype(np.int64)
    offset += 1 + 4 * order
    tables: list[NDArray[np.float32]] = []
    if order > 1:
        offset += 4  # a kind of quantisation, always 1
        for _ in range(2 * (order - 2) + 1):
            tables.append(np.frombuffer(data, "<f4", 2**16, offset))
            offset += 4 * 2**16
    singles = np.frombuffer(data, np.dtype([("p", "<f4"), ("b", "<f4"), ("next", "<u4")]), counts[0] + 1, offset)
    offset += singles.nbytes
    starts = singles["next"].astype(np.int64)  # of each row's children in the order above, and the end of the last
    levels = [_level(np.arange(counts[0]), np.stack([singles["p"][:-1], singles["b"][:-1]], 1) * LOG_SPHINX)]
    word_bits = int(counts[0]).bit_length()
    for n in range(2, order + 1):
        last = n == order
        next_bits = 0 if last else int(counts[n]).bit_length()
        width = word_bits + (16 if last else 32 + next_bits)
        size = ((1 + int(counts[n - 1])) * width + 7) // 8 + 8
        packed = np.frombuffer(data, np.uint8, size, offset)
        offset += size
        count = int(starts[-1])  # the header also counts n-grams that the writer left out
        first = _bits(packed, np.arange(count) * width, word_bits)
        parents = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
        if len(parents) != count or count > counts[n - 1]:
            raise ValueError(f"{count} {n}-grams where the header says {counts[n - 1]}")
        at = np.arange(count) * width + word_bits
        if last:
            values = tables[-1][_bits(packed, at, 16)]
            backoffs = np.zeros_like(values)
        else:
            backoffs = tables[2 * n - 3][_bits(packed, at, 16)]
            values = tables[2 * n - 4][_bits(packed, at + 16, 16)]
            following = _bits(packed, np.arange(count + 1) * width + word_bits + 32, next_bits)
        keys = parents * counts[0] + first
        order_of = np.argsort(keys, kind="stable")  # a few are out of order in PocketSphinx's own file
        if not last:
            starts = following
        levels.append(_level(keys[order_of], np.stack([values, backoffs], 1)[order_of] * LOG_SPHINX))
    size = int(np.frombuffer(data, "<u4", 1, offset)[0])
    words = data[offset + 4 : offset + 4 + size].decode().rstrip("\0").split("\0")
    return NGram(words, levels)


def _bits(packed: NDArray[np.uint8], at: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """`count` (at most 25) bits from every bit offset `at`, little-endian."""
    byte, shift = at >> 3, (at & 7).astype(np.uint32)
    value = np.zeros(len(at), np.uint32)
    for i in range(4):
        value |= packed[byte + i].astype(np.uint32) << np.uint32(8 * i)
    bits: NDArray[np.int64] = ((value >> shift) & np.uint32((1 << count) - 1)).astype(np.int64)
    return bits

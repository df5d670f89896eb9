"""What a tokenizer.json may be made of: the parts that speech models use, few of them, no regular expressions.

A chain of thousands of decoders, or an expression that backtracks without end, would take minutes for a line of text.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..base.errors import SecateurError

PARTS = frozenset({
    "BPEDecoder", "ByteFallback", "ByteLevel", "Fuse", "Lowercase", "Metaspace", "NFC", "NFD", "NFKC", "NFKD", "Nmt",
    "Precompiled", "Prepend", "Replace", "Sequence", "Strip", "StripAccents", "Whitespace", "WhitespaceSplit",
})  # fmt: skip
LISTS = ("normalizers", "pretokenizers", "decoders")
MOST_PARTS = 16
LONGEST = 64  # letters of a text that a part replaces or prepends


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

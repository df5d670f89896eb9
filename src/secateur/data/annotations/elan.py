"""ELAN's annotation files (.eaf)."""

from __future__ import annotations

import xml.etree.ElementTree as Xml
from itertools import pairwise

from ...base.errors import SecateurError
from .span import TimedText


def read_elan(text: str, where: str) -> tuple[list[TimedText], list[str]]:
    """The annotations of all tiers with times of their own, and the names of the media files.

    Tiers that depend on others (translations, glosses) are left out. The speaker is the tier's participant, else its
    name where there are several tiers.

    Annotations whose borders have no time share what lies between those beside them that have one, as in ELAN.

    Raises:
        SecateurError: not ELAN's XML, one that defines entities, or an annotation without a time on one side.
    """
    if "<!DOCTYPE" in text[:2000] or "<!ENTITY" in text:
        raise SecateurError(f"{where}: defines entities, which ELAN does not: not read")
    try:
        root = Xml.fromstring(text.encode("utf-8") if not text.startswith("<?xml") else _without_declaration(text))
    except (Xml.ParseError, ValueError) as problem:
        raise SecateurError(f"{where}: not an ELAN file ({problem})") from problem
    if root.tag != "ANNOTATION_DOCUMENT":
        raise SecateurError(f"{where}: not an ELAN file (it begins with {root.tag})")
    slots: dict[str, float] = {}
    for slot in root.iter("TIME_SLOT"):
        value = slot.get("TIME_VALUE")
        if value is not None and value.isdecimal() and len(value) < 12:
            slots[str(slot.get("TIME_SLOT_ID"))] = int(value) / 1000
    tiers = [tier for tier in root.iter("TIER") if tier.find("ANNOTATION/ALIGNABLE_ANNOTATION") is not None]
    own = [tier for tier in tiers if not tier.get("PARENT_REF")] or tiers
    spans = []
    for tier in own:
        speaker = tier.get("PARTICIPANT") or (str(tier.get("TIER_ID") or "") if len(own) > 1 else "")
        annotations = list(tier.iter("ALIGNABLE_ANNOTATION"))
        borders = [str(one.get(f"TIME_SLOT_REF{n}")) for one in annotations for n in (1, 2)]
        times = slots | _between(list(dict.fromkeys(borders)), slots)
        for annotation, first, last in zip(annotations, borders[::2], borders[1::2], strict=True):
            words = " ".join((annotation.findtext("ANNOTATION_VALUE") or "").split())
            if not words:
                continue
            if first not in times or last not in times:
                name = tier.get("TIER_ID") or ""
                raise SecateurError(
                    f"{where}: '{words[:40]}' in tier '{name}' has no time: align it in ELAN, or delete it"
                )
            spans.append(TimedText(times[first], times[last], words, speaker))
    media = [m.get("RELATIVE_MEDIA_URL") or m.get("MEDIA_URL") or "" for m in root.iter("MEDIA_DESCRIPTOR")]
    return sorted(spans, key=lambda s: (s.start, s.end)), [m.rsplit("/", 1)[-1] for m in media if m]


def _between(borders: list[str], times: dict[str, float]) -> dict[str, float]:
    """Times of borders that have none, evenly between those in the same tier that have one."""
    shared: dict[str, float] = {}
    known = [at for at, border in enumerate(borders) if border in times]
    for one, other in pairwise(known):
        first, last = times[borders[one]], times[borders[other]]
        if last >= first:
            for at in range(one + 1, other):
                shared[borders[at]] = first + (last - first) * (at - one) / (other - one)
    return shared


def _without_declaration(text: str) -> bytes:
    """The document as UTF-8, whatever its first line says it was written in."""
    return text[text.index("?>") + 2 :].encode("utf-8") if "?>" in text[:300] else text.encode("utf-8")

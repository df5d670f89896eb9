"""What paths say of recordings: what is in a folder (`wav`, `transcripts`), whose it is (`anna`), who speaks."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import PurePath

from ..base.errors import SecateurError

FORMATS = r"wavs?|flac|mp3s?|ogg|opus|wav\d+k?(?:hz)?(?:_silence_trimmed)?|\d+k(?:hz)?"
CONTENT = (
    rf"{FORMATS}|audio(?:s|files?)?|clips?|sounds?|recordings?|files?|media|speech|data|corpus|txt|te?xts?|transcripts?"
)
SPLITS = r"train(?:ing)?|dev|test(?:ing)?|valid(?:ation)?|eval"
FORMAT = re.compile(rf"^(?:{FORMATS})$", re.IGNORECASE)
GENERAL = re.compile(rf"^(?:{CONTENT}|{SPLITS})$", re.IGNORECASE)  # not who
KIND = re.compile(
    rf"^(?:{CONTENT}|recs?|texte|textos?|trans|transcriptions?|transkripte?|annotations?|labels?|labs?|trn|prompts?|"
    r"subtitles?|subs|srt|vtt|textgrids?|alignments?|aligned|eaf|elan|stm|ctm|json|sentences?|utterances?)$",
    re.IGNORECASE,
)
GROUP = "speaker"


def whose(folders: Sequence[str]) -> tuple[str, ...]:
    """Folders in lower case without what only says what is in them.

    >>> whose(("wav", "Anna", "s1")), whose(("anna_wav",)), whose(("wav48_silence_trimmed", "p225"))
    (('anna', 's1'), ('anna',), ('p225',))
    """
    named = (_rest(part) for part in folders if part not in ("", "/", ".", "..") and not KIND.match(part))
    return tuple(part for part in named if part)


def _rest(part: str) -> str:
    words = re.split(r"[_\-. ]+", part.lower())
    return "-".join(word for word in words if not KIND.match(word))


def kinds(folders: Sequence[str]) -> tuple[str, ...]:
    """The folders that only say what is in them."""
    return tuple(part.lower() for part in folders if KIND.match(part))


def differing(own: Sequence[str], other: Sequence[str]) -> tuple[Sequence[str], Sequence[str]]:
    """What is between the first folders and the last ones that both have.

    >>> differing(("a", "wav", "x"), ("a", "txt", "y", "x"))
    (('wav',), ('txt', 'y'))
    """
    first = 0
    while first < min(len(own), len(other)) and own[first] == other[first]:
        first += 1
    own, other = own[first:], other[first:]
    last = 0
    while last < min(len(own), len(other)) and own[-1 - last] == other[-1 - last]:
        last += 1
    return own[: len(own) - last], other[: len(other) - last]


def contradict(written: PurePath, path: PurePath, known: frozenset[str]) -> bool:
    """Whether a file elsewhere than `written` is another speaker's: each is in a folder that the other path lacks.

    A path from another computer says so only with a folder that is `known` in this set, too.

    >>> contradict(PurePath("ann/2.wav"), PurePath("Bob/2.wav"), frozenset({"bob"}))
    True
    >>> contradict(PurePath("/old/2.wav"), PurePath("Bob/2.wav"), frozenset({"bob"}))
    False
    """
    named, there = whose(written.parts[:-1]), whose(path.parts[:-1])
    if not named or named[-1] in there:
        return False
    foreign = named[-1] in known
    return foreign or (bool(there) and there[-1] not in named and not written.is_absolute())


def speaker_pattern(pattern: str) -> Callable[[str], str]:
    """The function from a path (inside its set, with `/`) to the speaker, "" where the pattern does not fit.

    A template has `{speaker}` and perhaps other names in braces (any letters but `/`), `*` (the same) and `**`
    (folders, too); it fits whole folders and names, with or without the file's ending. Anything else is a regular
    expression whose group `speaker`, or first group, is the speaker.

    >>> speaker_pattern("{speaker}/*.wav")("train/anna/1.wav"), speaker_pattern(r"_(p[0-9]+)_")("x/a_p225_1.flac")
    ('anna', 'p225')

    Raises:
        SecateurError: no regular expression, or one without a group.
    """
    template = f"{{{GROUP}}}" in pattern
    try:
        compiled = re.compile(_of_template(pattern) if template else pattern)
    except re.error as problem:
        raise SecateurError(f"--speaker-from: '{pattern}' is no regular expression ({problem.msg})") from problem
    if not compiled.groups:
        raise SecateurError(
            f"--speaker-from: '{pattern}' has no group for the speaker: write ([^/]+) where the name is, "
            "or a template such as '{speaker}/*.wav'"
        )
    group: str | int = GROUP if GROUP in compiled.groupindex else 1

    def speaker(path: str) -> str:
        match = compiled.search(path)
        return (match[group] or "") if match else ""

    return speaker


def _of_template(template: str) -> str:
    """A template as a regular expression; a name that occurs twice must be the same."""
    parts, names = [], set()
    for part in re.split(r"(\{\w+\}|\*\*|\*)", template):
        if re.fullmatch(r"\{\w+\}", part):
            name = part[1:-1]
            parts.append(f"(?P={name})" if name in names else f"(?P<{name}>[^/]+?)")
            names.add(name)
        else:
            parts.append({"**": ".*", "*": "[^/]*"}.get(part, re.escape(part)))
    return rf"(?:^|/){''.join(parts)}(?:\.[^./]+)?(?:$|/)" if not template.endswith("/") else f"(?:^|/){''.join(parts)}"

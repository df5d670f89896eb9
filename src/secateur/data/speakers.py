"""Who speaks, from paths: a regular expression, or a template such as `{speaker}/*.wav`."""

from __future__ import annotations

import re
from collections.abc import Callable

from ..base.errors import SecateurError

GROUP = "speaker"


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

"""A skill."""

from __future__ import annotations

from collections.abc import Mapping

from secateur.assistant.skill import Context, skill


@skill("toy.echo")
def echo(slots: Mapping[str, str], context: Context) -> str:
    return f"toy: {slots['what']}"

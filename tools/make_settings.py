"""Write docs/settings.md from the settings classes: every option of every job, with default, unit, range and meaning.

tools/make_settings.py            # writes it, and the pages of `reference.py`: docs/commands.md, docs/formats.md
tools/make_settings.py --check    # exit code 1 when a page and the code differ
"""

from __future__ import annotations

import dataclasses
import sys
import typing
from dataclasses import MISSING
from pathlib import Path

from secateur.api import JOBS
from secateur.base.option_fields import default_of, part_of
from secateur.base.options import choices_of, range_of
from secateur.cli.command import shown
from secateur.server.http.settings import Access, Limits
from secateur.study.settings import StudyArm, StudySettings

PAGE = Path(__file__).resolve().parent.parent / "docs" / "settings.md"
HEAD = """# Settings

<!-- tools/make_settings.py writes this page from the settings classes; edit them. -->

Every job takes the same settings everywhere. `prune.remove`, say, is

    secateur adapt ... --prune.remove 0.2            # the command line: dashes for underscores
    secateur.adapt(..., prune__remove=0.2)           # Python; prune={"remove": 0.2} and PruneSettings(remove=0.2), too
    [prune]                                          # a TOML file, for --config and for studies
    remove = 0.2

A command's `--help` shows its options, too, the advanced ones last. A value out of its range, an unknown name and an
earlier one are refused before any work starts, with the right name.
"""


def rows(cls: type, parts: dict[str, type]) -> list[str]:
    """A table of a class's own options; the settings inside it are noted in `parts`."""
    hints = typing.get_type_hints(cls)
    lines = ["| option | default | | what it does |", "|---|---|---|---|"]
    for one in dataclasses.fields(cls):
        hint, about = hints[one.name], one.metadata
        part = part_of(hint)
        default = default_of(one)
        if part is not None:
            parts.setdefault(part.__name__, part)
            link = f"[{part.__name__}](#{part.__name__.lower()})"
            flat = ", without a prefix" if about.get("flat") else ""
            lines.append(f"| `{one.name}` | | {link}{flat} | {about.get('help', '')} |")
            continue
        facts = [" ".join(word for word in (about.get("unit", ""), range_of(about)) if word)]
        facts.append(", ".join(f"`{name}`" for name in choices_of(hint, about)))
        value = "*needed*" if default is MISSING else "" if default in (None, (), "", {}) else f"`{shown(default)}`"
        cell = "; ".join(fact for fact in facts if fact).replace("|", "\\|")
        lines.append(f"| `{one.name}` | {value} | {cell} | {about.get('help', '').replace('|', chr(92) + '|')} |")
    return lines


def page() -> str:
    """The page."""
    parts: dict[str, type] = {}
    text = [HEAD]
    for name, job in JOBS.items():
        about = (job.__doc__ or "").strip().splitlines()[0]
        text += [f"## {name}", "", about, "", *rows(job.settings, parts), ""]
    for cls in (StudySettings, StudyArm, Limits, Access):
        parts.setdefault(cls.__name__, cls)
    done: set[str] = set()
    while len(done) < len(parts):
        for name in [n for n in parts if n not in done]:
            done.add(name)
            about = " ".join((parts[name].__doc__ or "").split())
            text += [f"## {name}", "", about, "", *rows(parts[name], parts), ""]
    return "\n".join(text).rstrip() + "\n"


def main(words: list[str]) -> int:
    """See the module's text."""
    import reference  # which reads tables of this file

    pages = {PAGE: page(), **reference.pages()}
    if words == ["--check"]:
        stale = [path for path, text in pages.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
        for path in stale:
            print(f"{path}: out of date; run tools/make_settings.py", file=sys.stderr)
        return int(bool(stale))
    if words:
        print(__doc__, file=sys.stderr)
        return 2
    for path, text in pages.items():
        path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Catalogues of translations and what secateur says, held together.

make_catalogue.py [zh]                     what is missing, what nobody says any more; exit code 1 when there is some
make_catalogue.py [zh] --missing FILE      write what is missing: a line each, its number and the English template
make_catalogue.py [zh] --merge FILE LINES  add LINES of a number in FILE, a tab and its translation
make_catalogue.py [zh] --sweep             throw away what nobody says any more
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from message_templates import SOURCE, templates

FOLDER = SOURCE / "base" / "messages"


def read(language: str) -> dict[str, str]:
    """The catalogue of a language."""
    path = FOLDER / f"{language}.json"
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}


def write(language: str, entries: dict[str, str]) -> None:
    """Write it in the order of the templates, those that nobody says last."""
    order = {key: i for i, key in enumerate(templates())}
    inside = sorted(entries.items(), key=lambda entry: order.get(entry[0], len(order)))
    text = json.dumps(dict(inside), ensure_ascii=False, indent=1)
    (FOLDER / f"{language}.json").write_text(text + "\n", encoding="utf-8")


def differences(language: str) -> tuple[dict[str, str], list[str]]:
    """Templates without a translation with their files, and translations of nothing."""
    known, said = read(language), templates()
    return {key: where for key, where in said.items() if key not in known}, [key for key in known if key not in said]


def main() -> int:
    """Report, or change the catalogue."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("language", nargs="?", default="zh")
    parser.add_argument("--missing", type=Path)
    parser.add_argument("--merge", type=Path, nargs=2, metavar=("MISSING", "LINES"))
    parser.add_argument("--sweep", action="store_true")
    options = parser.parse_args()
    if options.merge:
        listed = [json.loads(line)[1] for line in options.merge[0].read_text(encoding="utf-8").splitlines()]
        entries = read(options.language)
        for line in options.merge[1].read_text(encoding="utf-8").splitlines():
            number, tab, text = line.partition("\t")
            if tab:
                entries[listed[int(number)]] = text.replace("\\n", "\n")
        write(options.language, entries)
    missing, stale = differences(options.language)
    if options.sweep:
        write(options.language, {key: text for key, text in read(options.language).items() if key not in stale})
        stale = []
    if options.missing:
        lines = (json.dumps([i, key, where], ensure_ascii=False) for i, (key, where) in enumerate(missing.items()))
        options.missing.write_text("\n".join(lines) + "\n", encoding="utf-8")
    for key, where in missing.items():
        print(f"missing ({where}): {key!r}")
    for key in stale:
        print(f"stale: {key!r}")
    total = len(templates())
    print(f"{total - len(missing)} of {total} translated, {len(stale)} stale")
    return int(bool(missing or stale))


if __name__ == "__main__":
    sys.exit(main())

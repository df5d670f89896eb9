"""Typed commands: which sentences order something, by language. `python benchmarks/commands.py --out FILE`.

The sentences are those of the tests (tests/assistant/sentences): some must be understood with every slot, the others
(negations, reports, questions, conditions, things nobody set up) must order nothing. With `--data`, the reference texts
of sets of everyday speech as well, of which none is a command.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any

from recorded import how

from secateur.assistant.grammar.file import Grammar, read_grammar
from secateur.assistant.grammar.several import matches
from secateur.base.files import write_json

SENTENCES = Path(__file__).resolve().parent.parent / "tests" / "assistant" / "sentences"
GRAMMARS = {"en": ("home", "coffee"), "zh": ("home_zh",)}
SPEECH = {
    "en": ("speechocean762 dev", "speechocean762 test", "librispeech-mini test"),
    "zh": ("commonvoice-zh-cn dev", "commonvoice-zh-cn test"),
}


def must_not(language: str) -> list[str]:
    """Sentences that order nothing."""
    lines = (SENTENCES / f"{language}_must_not.txt").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def must(language: str) -> list[dict[str, Any]]:
    """Sentences with intent and slots."""
    lines = (SENTENCES / f"{language}_must.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def ordered(grammar: Grammar, text: str) -> list[dict[str, Any]]:
    """Intent and slots of everything that a text orders."""
    return [{"intent": match.intent, "slots": match.slots} for match in matches(grammar.graph, text)]


def wanted(row: dict[str, Any]) -> list[dict[str, Any]]:
    """What a sentence of `must` orders."""
    return [{"intent": row["intent"], "slots": row["slots"]}, *row.get("also", [])]


def table(data: Path | None) -> list[dict[str, Any]]:
    """One row a language and kind of sentence."""
    rows = []
    for language, names in GRAMMARS.items():
        grammar = read_grammar(*names)
        positive = must(language)
        right = [ordered(grammar, row["text"]) == wanted(row) for row in positive]
        rows.append({"language": language, "set": "commands", "sentences": len(right), "right": sum(right)})
        kinds = {"no commands": must_not(language)}
        for name in SPEECH[language] if data is not None else ():
            assert data is not None
            folder, split = name.split()
            lines = (data / folder / f"{split}.jsonl").read_text(encoding="utf-8").splitlines()
            kinds[name] = sorted({json.loads(line)["text"] for line in lines})
        for name, texts in kinds.items():
            begun = time.process_time()
            acts = [text for text in texts if ordered(grammar, text)]
            spent = 1000 * (time.process_time() - begun) / len(texts)
            rows.append(
                {"language": language, "set": name, "sentences": len(texts), "acted": len(acts), "ms": round(spent, 2)}
                | ({"which": acts[:10]} if acts else {})
            )
    return rows


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("SECATEUR_DATA", "../shared/data")))
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    rows = table(options.data if options.data.is_dir() else None)
    for row in rows:
        print(row)
    if options.out:
        write_json(options.out, {"how": how(), "rows": rows})


if __name__ == "__main__":
    main()

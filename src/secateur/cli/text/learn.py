"""`secateur text learn`: the words of transcripts, for writing pinyin as characters and for correction by sound."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from ...base.files import Json
from ...base.locale import translated
from ...base.options import Settings, option
from ...text.languages import base_language
from ...text.word_model import learn_words

HELP = "Count the Chinese words of transcripts, and which follows which: a small file for `correct` and `characters`."
EXAMPLE = "secateur text learn ../shared/data/commonvoice-zh-cn/train.jsonl --out words.json"


@dataclass(frozen=True)
class Options(Settings):
    """What is read, and the file to write."""

    manifests: tuple[Path, ...] = option(help="Count the words of these manifests (JSONL).", positional=True)
    out: Path = option(help="Write this file (JSON).", writes=".json")
    protect: tuple[str, ...] = option((), "Never change these words, such as names, separated by commas.")


def run(options: Options) -> Json:
    """Count and write."""
    from ...data.manifest import read_manifest

    texts = [u.text for path in options.manifests for u in read_manifest(path) if base_language(u.language) == "zh"]
    model = replace(learn_words(texts), protected=options.protect)
    model.write(options.out)
    pairs = sum(len(after) for after in model.pairs.values())
    return {"file": str(options.out), "texts": len(texts), "words": len(model.words), "pairs": pairs}


def show(result: Json) -> str:
    """Words, pairs and texts counted."""
    return translated(
        f"{result['file']}: {result['words']} words and {result['pairs']} pairs of {result['texts']} texts"
    )

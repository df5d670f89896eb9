"""`secateur lm`: n-gram language models for CTC models, from transcripts or from files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..base.errors import SecateurError
from ..base.extras import hint
from ..base.files import Json
from ..base.locale import translated
from ..base.options import Settings, option

HELP = f"""Make a language model for `evaluate --lm` and `transcribe --lm`, which need numpy alone to read it.

From the transcripts of manifests (modified Kneser-Ney), from an ARPA file, from PocketSphinx's binary format, or
`--general`: the general English trigrams (72,547 words) of the pocketsphinx wheel ({hint("sphinx")}).
Several models can be mixed when they are used: --lm general.npz,mine.npz"""
EXAMPLE = """secateur lm --train mine/train.jsonl --out mine.npz
secateur lm --general --out general.npz --test mine/dev.jsonl"""


@dataclass(frozen=True)
class Options(Settings):
    """What the command takes."""

    out: Path = option(help="Write the model to this file (.npz).", writes=".npz")
    train: tuple[Path, ...] = option((), "Estimate the model from the transcripts of these manifests.", was=("learn",))
    file: Path | None = option(None, "Convert this model: ARPA, or PocketSphinx's .lm.bin.")
    general: bool = option(False, "Convert the general English model of the pocketsphinx wheel.")
    order: int = option(3, "Estimate n-grams up to this length.", unit="words", least=1)
    test: tuple[Path, ...] = option((), "Measure perplexity and unknown words on these manifests.")


def run(options: Options) -> Json:
    """Learn or convert, write, measure."""
    from ..data.manifest import read_manifest
    from ..lm.estimate import train_ngram
    from ..lm.ngram import perplexity
    from ..lm.tables import read_ngram, write_ngram
    from ..text.normalise import spoken
    from ..text.phones import sphinx_file

    if bool(options.train) + (options.file is not None) + options.general != 1:
        raise SecateurError("name one source: --train MANIFESTS, --file FILE, or --general")
    if options.train:
        model = train_ngram([u.text for path in options.train for u in read_manifest(path)], options.order)
    else:
        model = read_ngram(options.file if options.file is not None else sphinx_file("en-us.lm.bin"))
    write_ngram(options.out, model)
    texts = [spoken(u.text) for path in options.test for u in read_manifest(path)]
    words = [word for text in texts for word in text.split()]
    measured = {} if not words else {
        "perplexity": perplexity(model, texts), "unknown": sum(w not in model.numbers for w in words) / len(words),
    }  # fmt: skip
    counts = [len(level.keys) for level in model.levels]
    return {"file": str(options.out), "bytes": options.out.stat().st_size, "words": len(model.words),
            "ngrams": counts, **measured}  # fmt: skip


def show(result: Json) -> str:
    """Sizes and, on a test, how well it fits."""
    grams = ", ".join(translated(f"{count} {n}-grams") for n, count in enumerate(result["ngrams"], 1))
    lines = [f"{result['file']}: {grams}; {result['bytes'] / 1e6:.1f} MB"]
    if "perplexity" in result:
        unknown = f"{100 * result['unknown']:.1f} % of the words unknown"
        lines.append(translated(f"perplexity {result['perplexity']:.0f}, {unknown}"))
    return "\n".join(lines)

"""`secateur text normalise`: a text as error rates compare it."""

from __future__ import annotations

from dataclasses import dataclass

from ...base.files import Json
from ...base.options import Settings, option
from ...base.progress import say
from ...text.normalise import Scheme, explained, normaliser, scheme_of

HELP = "A text as error rates compare it: case, punctuation, numbers and, in Chinese, script and width made equal."
EXAMPLE = """secateur text normalise "Twenty-five colours!"
secateur text normalise "「臺灣」１９８０年增長2.5％" --language zh
secateur text normalise "مُحَمَّدٌ" --language arabic"""


@dataclass(frozen=True)
class Options(Settings):
    """What is normalised, by which rules."""

    texts: tuple[str, ...] = option(help="Normalise these texts, each in quotes.", positional=True)
    language: str = option("en", "Normalise as this language: a code or a name, such as en, zh-CN or german.")
    normalise: Scheme | None = option(
        None,
        "Compare texts by whisper's published rules, by the language's own habits, with case and punctuation "
        "(cased) or as they are; left out: whisper where that is right, else language.",
    )


def run(options: Options) -> Json:
    """Every text, normalised, and what the rules are."""
    clean = normaliser(options.language, options.normalise)
    return {
        "scheme": scheme_of(options.language, options.normalise),
        "rules": explained(options.language, options.normalise),
        "normalised": [{"text": text, "normalised": clean(text)} for text in options.texts],
    }


def show(result: Json) -> str:
    """A line a text; the rules on standard error, so that the texts can be piped."""
    say(result["rules"])
    return "\n".join(entry["normalised"] for entry in result["normalised"])

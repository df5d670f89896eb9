"""`secateur data split`: train, dev and test without shared speakers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ...base.files import Json
from ...base.locale import translated
from ...base.options import Settings, option

HELP = "Cut a data set into splits that share no speaker, close to the given shares of its hours."
EXAMPLE = """secateur data split set/all.jsonl --out set
secateur data split set/all.jsonl --out set --shares train=0.7,test=0.3 --seed 1 --drop-shared-texts"""


@dataclass(frozen=True)
class Options(Settings):
    """What is split, how, and where to."""

    manifest: Path = option(help="Split this data set: JSONL, or archives such as set-{000..123}.tar.", positional=True)
    out: Path = option(help="Write train.jsonl, dev.jsonl and test.jsonl into this folder.", writes="folder")
    shares: tuple[str, ...] = option(
        ("train=0.8", "dev=0.1", "test=0.1"), "Give each split this share of the hours, as NAME=SHARE."
    )
    by: str = option("speaker", "Keep this apart: speaker, or an extra field; id splits anywhere.")
    seed: int = option(0, "Draw another split with another seed.")
    drop_shared_texts: bool = option(False, "Drop utterances from earlier splits whose text a later one has.")


def run(options: Options) -> Json:
    """Write one manifest a split; texts that splits share are reported."""
    from contextlib import ExitStack

    from ...base.errors import SecateurError
    from ...base.progress import say
    from ...data.manifest import ManifestFile, Utterance, manifest_writer
    from ...data.split import SplitTexts, choose_splits, group_of

    utterances, shares = ManifestFile(options.manifest), _shares(options.shares)
    names = list(shares)
    if options.manifest.resolve() in [(options.out / f"{name}.jsonl").resolve() for name in names]:
        raise SecateurError(f"{options.manifest}: is read, and a split would replace it; name another --out")
    chosen = choose_splits(utterances, shares, options.seed, options.by)
    later = {name: names[i + 1 :] for i, name in enumerate(names)}
    texts = SplitTexts(names)

    def split_of(u: Utterance) -> str:
        return chosen[group_of(u, options.by)]

    for u in utterances:
        texts.add(split_of(u), u.text)
    if texts.shared() and not options.drop_shared_texts:
        pairs = ", ".join(f"{a} and {b} share {count}" for (a, b), count in texts.shared().items())
        say(f"warning: texts occur in several splits: {pairs} (--drop-shared-texts drops them from the earlier one)")
    result: Json = {
        name: {"manifest": str(options.out / f"{name}.jsonl"), "utterances": 0, "hours": 0.0} for name in names
    }
    speakers: dict[str, set[str]] = {name: set() for name in names}
    with ExitStack() as stack:
        write = {name: stack.enter_context(manifest_writer(options.out / f"{name}.jsonl")) for name in names}
        for u in utterances:
            name = split_of(u)
            if options.drop_shared_texts and texts.occurs(u.text, later[name]):
                continue
            write[name](u)
            result[name]["utterances"] += 1
            result[name]["hours"] += u.duration / 3600
            speakers[name].add(u.speaker)
    for name, names_of_speakers in speakers.items():
        result[name]["speakers"] = len(names_of_speakers - {""})
    return result | {"shared_texts": {f"{a}, {b}": count for (a, b), count in texts.shared().items()}}


def _shares(words: tuple[str, ...]) -> dict[str, float]:
    """`("train=0.8", "test=0.2")` as numbers.

    Raises:
        SecateurError: not NAME=NUMBER, or a name that is no file name.
    """
    from ...base.errors import SecateurError

    shares = {}
    for word in words:
        name, _, number = word.partition("=")
        try:
            shares[name.strip()] = float(number)
        except ValueError:
            raise SecateurError(f"--shares: expected NAME=NUMBER such as train=0.8, found '{word}'") from None
        if not name.strip() or "/" in name:
            raise SecateurError(f"--shares: '{name}' is no name of a split")
    return shares


def show(result: Json) -> str:
    """One line a split."""
    splits = {name: s for name, s in result.items() if name != "shared_texts"}
    return "\n".join(
        translated(f"{s['manifest']}: {s['utterances']} utterances, {s['hours']:.2f} h, {s['speakers']} speakers")
        for s in splits.values()
    )

"""Mandarin runs corrected by sound: by words alone, and with what each run's pinyin head heard; chosen on dev.

    python3 experiments/study/correct_zh.py RUNS --data SPEECH --out experiments/study/results/base_zh_corrected
    python3 experiments/study/correct_zh.py RUNS --data SPEECH --out OUT --alternatives 16 --lm zh.npz --only-lm

With --alternatives the best of each clip's likeliest texts is what is corrected. RUNS is a study's folder (`secateur
study experiments/study/base_zh.toml --out RUNS`), or any folder of checkpoints named ARM-SEED. A run whose rows are
there (ARM-SEED/results/dev.json and commonvoice-zh-cn.json) is not decoded again; of one that has only its checkpoint,
dev and test are decoded first, on --device.
"""

from __future__ import annotations

import argparse
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

from secateur.base.files import write_json
from secateur.base.progress import say
from secateur.data.manifest import read_manifest, write_manifest
from secateur.evaluate.alternatives import has_alternatives
from secateur.evaluate.corrected import correction, without_head
from secateur.evaluate.result import PINYIN_EXTRA, Result, read_result, write_result
from secateur.lm.tables import read_ngram
from secateur.text.by_sound import BySound
from secateur.text.normalise import base_language
from secateur.text.word_model import WordModel, learn_words

SET = "commonvoice-zh-cn"


def main() -> None:
    """Every run of the folder."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("runs", type=Path)
    parser.add_argument("--data", type=Path, required=True, help=f"has {SET}/train.jsonl, dev.jsonl, test.jsonl")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", default="", help="runs, separated by commas, such as dense-0,pruned-pinyin-0")
    parser.add_argument("--lm", type=Path, help="correct once more, asking this language model of words as well")
    parser.add_argument("--only-lm", action="store_true", help="only so")
    parser.add_argument("--alternatives", type=int, help="likeliest texts a clip")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--limit", type=int, help="clips of dev and test, to try it out")
    parser.add_argument("--longest", type=float, default=19.9, help="seconds; the study's")
    parser.add_argument("--jobs", type=int, default=2)
    a = parser.parse_args()
    names = [n for n in a.only.split(",") if n] or sorted(p.name for p in a.runs.glob("*-[0-9]"))
    words = a.out / "words.tmp"
    texts = [u.text for u in read_manifest(a.data / SET / "train.jsonl") if base_language(u.language) == "zh"]
    learn_words(texts).write(words)
    for name in names:  # decoding one after the other: a GPU is filled by one
        for part in ("dev", SET):
            rows(a.runs / name, part, a)
    with ProcessPoolExecutor(a.jobs) as pool:
        correct = partial(one, out=a.out, words=words, lm=a.lm, only_lm=a.only_lm)
        list(pool.map(correct, [a.runs / name for name in names]))
    words.unlink()


def rows(run: Path, part: str, a: argparse.Namespace) -> None:
    """The run's rows of a set: as the study left them, or decoded now."""
    path = run / "results" / f"{part}.json"
    if path.exists():
        found = read_result(path)
        if found.rows and (a.alternatives is None or has_alternatives(found.rows)):
            return
    from secateur.api import evaluate
    from secateur.families.seq2seq.nbest import add_alternatives
    from secateur.study.pinyin_head import add_pinyin_evidence

    clips = read_manifest(a.data / SET / f"{'dev' if part == 'dev' else 'test'}.jsonl")
    clips = [u for u in clips if u.duration <= a.longest][: a.limit]
    manifest = run / "results" / f"{part}.jsonl"
    write_manifest(manifest, clips)
    seconds = 2400.0 if a.device == "cuda" else 60.0
    found = evaluate(run, manifest, device=a.device, batch_seconds=seconds)
    device = str(found.settings["device"])
    if a.alternatives is not None:
        found = add_alternatives(found, str(run), clips, device, seconds, a.alternatives)
    write_result(path, add_pinyin_evidence(found, str(run), clips, device, seconds))


def one(run: Path, out: Path, words: Path, lm: Path | None = None, only_lm: bool = False) -> None:
    """Correct one run in every way."""
    test, dev = (read_result(run / "results" / f"{part}.json") for part in (SET, "dev"))
    writer = BySound(WordModel.read(words))
    if not only_lm:
        corrected(writer, without_head(test), without_head(dev), out / f"{run.name}.json")
        if any(PINYIN_EXTRA in row.extras for row in test.rows):
            corrected(writer, test, dev, out / f"{run.name}+head.json")
    if lm is not None:
        asking = BySound(writer.model, lexicon=writer.lexicon, lm=read_ngram(lm))
        corrected(asking, test, dev, out / f"{run.name}+lm.json")


def corrected(writer: BySound, test: Result, dev: Result, path: Path) -> None:
    """Choose on dev, correct the test set, note what came of it."""
    after, found = correction(test, writer, dev)
    write_json(path, {**found, "errors": [row.counts.errors for row in after.rows]}, indent=None)
    rates = f"{100 * found['before']:.2f} % became {100 * found['after']:.2f} %"
    say(f"{path.stem}: {rates}, changed {found['changed']:g}, head {found['head']}")


if __name__ == "__main__":
    main()

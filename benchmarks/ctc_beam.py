"""Beam search with a lexicon and an n-gram model beside flashlight-text and KenLM: time and errors of one run.

    pip install flashlight-text        (a KenLM is in its wheel; PyPI has no wheel of `kenlm`)
    python benchmarks/ctc_beam.py CHECKPOINT librispeech-mini/dev.jsonl --lm general.npz

All read the same outputs of the same network with the same words, model and weights, on one thread.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from recorded import how

from secateur.base.extras import require
from secateur.base.files import write_json
from secateur.data.bank import AudioBank
from secateur.data.manifest import Utterance, read_manifest
from secateur.decode.ctc.beam import BeamDecoder, BeamOptions
from secateur.decode.ctc.words import greedy
from secateur.evaluate.error_rate import count_errors, total
from secateur.families.ctc.task import log_probs_bank
from secateur.lm.ngram import NGram
from secateur.lm.tables import read_ngram
from secateur.lm.word_tree import is_word, make_lexicon
from secateur.models.checkpoint import load_checkpoint
from secateur.text.normalise import normaliser

OUT = Path(__file__).parent / "results" / "ctc_beam.json"


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--lm", type=Path, required=True)
    parser.add_argument("--weight", type=float, default=0.8)
    parser.add_argument("--bonus", type=float, default=0.0)
    parser.add_argument("--beams", default="16,32,64,128")
    a = parser.parse_args()
    torch.set_num_threads(1)
    network, units = load_checkpoint(a.checkpoint)
    clips = read_manifest(a.manifest)
    bank = AudioBank.read(clips, torch.device("cpu"), network.config.front_end.sample_rate)
    outputs = log_probs_bank(network, bank, 60.0)
    model = read_ngram(a.lm)
    lexicon = make_lexicon(units, model.words, model.unigrams.tolist())
    rows = [measured("greedy", 1, lambda: [units.decode(greedy(one)) for one in outputs], clips)]
    with TemporaryDirectory() as folder:
        write_arpa(Path(folder) / "lm.arpa", model)
        theirs = Flashlight(units, model, Path(folder) / "lm.arpa")
        for beam in map(int, a.beams.split(",")):
            decoder = BeamDecoder(units, model, BeamOptions(beam, a.weight, a.bonus), lexicon)
            decoder.many(outputs[:4])
            rows.append(measured("secateur, clips together", beam, partial(decoder.many, outputs), clips))
            rows.append(measured("secateur, one by one", beam, partial(list, map(decoder, outputs)), clips))
            other = partial(theirs.read, theirs.decoder(beam, a.weight, a.bonus))
            rows.append(measured("flashlight-text, KenLM", beam, partial(list, map(other, outputs)), clips))
    for row in rows:
        print(row)
    seconds = sum(u.duration for u in clips)
    write_json(
        OUT,
        {"how": how(), "clips": len(clips), "seconds": round(seconds / len(clips), 1), "lm": a.lm.name, "rows": rows},
    )


def measured(name: str, beam: int, read: Callable[[], Sequence[str]], clips: Sequence[Utterance]) -> dict[str, Any]:
    """Processor milliseconds a clip and the error rate."""
    start = time.process_time()
    texts = read()
    taken = time.process_time() - start
    clean = normaliser(clips[0].language)
    rate = total(count_errors(clean(u.text), clean(text)) for u, text in zip(clips, texts, strict=True)).rate
    return {"name": name, "beam": beam, "ms": round(1000 * taken / len(clips), 1), "wer": round(100 * rate, 2)}


def write_arpa(path: Path, model: NGram) -> None:
    """The model as text for KenLM, which wants the context of every n-gram as an n-gram itself."""
    ids: list[np.ndarray[Any, Any]] = []
    for level in model.levels:
        rows, firsts = np.divmod(level.keys, len(model.words)) if ids else (level.keys, level.keys)
        ids.append(np.column_stack([firsts, ids[-1][rows]]) if ids else firsts[:, None])
    kept = [np.ones(len(table), bool) for table in ids]
    for n in range(1, len(ids)):
        known = {tuple(gram) for gram in ids[n - 1][kept[n - 1]].tolist()}
        kept[n] = np.asarray([tuple(gram[:-1]) in known for gram in ids[n].tolist()])
    with path.open("w", encoding="utf-8") as out:
        print("\\data\\", *(f"ngram {n}={k.sum()}" for n, k in enumerate(kept, 1)), sep="\n", file=out)
        for n, (table, some, level) in enumerate(zip(ids, kept, model.levels, strict=True), 1):
            print(f"\n\\{n}-grams:", file=out)
            scores, backoffs = (x[some] / np.log(10) for x in (level.log_probs, level.backoffs))
            for gram, score, backoff in zip(table[some].tolist(), scores.tolist(), backoffs.tolist(), strict=True):
                words = " ".join(model.words[i] for i in gram)
                print(f"{score:.5f}\t{words}" + (f"\t{backoff:.5f}" if n < len(ids) else ""), file=out)
        print("\n\\end\\", file=out)


class Flashlight:
    """flashlight-text's lexicon decoder over the same words (Kahn et al. 2022)."""

    def __init__(self, units: Any, model: NGram, arpa: Path) -> None:
        self.library = require("flashlight.lib.text.decoder", "bench")
        names = require("flashlight.lib.text.dictionary", "bench")
        words = [word for word in model.words if is_word(word)]
        self.words = names.Dictionary([*words, "<unk>"])
        kenlm = require("flashlight.lib.text.decoder.kenlm", "bench")
        self.lm = kenlm.KenLM(str(arpa), self.words)
        self.units, self.boundary = units, units.boundary
        self.trie = self.library.Trie(units.outputs, self.boundary)
        start = self.lm.start(False)
        for word in words:
            number = self.words.get_index(word)
            _, score = self.lm.score(start, number)
            for said in units.spellings(word):
                self.trie.insert([*said, self.boundary], number, score)
        self.trie.smear(self.library.SmearingMode.MAX)

    def decoder(self, beam: int, weight: float, bonus: float) -> Any:
        """With the same options; KenLM's logarithms are to base 10."""
        options = self.library.LexiconDecoderOptions(
            beam_size=beam, beam_size_token=self.units.outputs, beam_threshold=14.0, lm_weight=weight * np.log(10),
            word_score=bonus, unk_score=-np.inf, sil_score=0.0, log_add=True,
            criterion_type=self.library.CriterionType.CTC,
        )  # fmt: skip
        unknown = self.words.get_index("<unk>")
        return self.library.LexiconDecoder(options, self.trie, self.lm, self.boundary, 0, unknown, [], False)

    def read(self, decoder: Any, log_probs: Any) -> str:
        """The best text."""
        table = np.ascontiguousarray(log_probs, np.float32)
        found = decoder.decode(table.ctypes.data, *table.shape)
        return " ".join(self.words.get_entry(word) for word in found[0].words if word >= 0) if found else ""


if __name__ == "__main__":
    main()

"""The kinds of files that a stranger may hand over: valid ones of each, and what reads them."""

from __future__ import annotations

import io
import json
import shutil
import sys
import tarfile
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
from mutate import Edit, spoil, spoil_json

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from ctranslate2_files import model_bin, small_uniform, special_of, variables_of, write_folder
from small_ctc import small_ctc
from small_models import small_whisper

from secateur.assistant.grammar.file import FOLDER, read_grammar
from secateur.audio.read import audio_info, read_audio
from secateur.base.errors import SecateurError
from secateur.base.files import read_json, write_json
from secateur.base.tensors import read_header, write_tensors
from secateur.data.archive import unpack
from secateur.data.layouts import read_kaldi, read_librispeech, read_set
from secateur.data.manifest import read_manifest
from secateur.data.tables import read_table
from secateur.evaluate.result import read_result
from secateur.export.onnx import export_onnx
from secateur.families.whisper.read_ctranslate2 import read_ctranslate2
from secateur.families.whisper.read_openai import read_openai
from secateur.families.whisper.write_transformers import their_name
from secateur.lm.tables import read_ngram
from secateur.models.checkpoint import load_checkpoint, save_checkpoint
from secateur.prune.sensitivity_map import Measured, SensitivityMap, read_map, write_map
from secateur.runtime.recogniser import Recogniser
from secateur.study.settings import read_study
from secateur.text.units import characters_of, read_units
from secateur.train.state import load_state, save_state
from secateur.weights.transformers_layout import read_transformers

LONGEST = 30.0  # seconds of audio


@dataclass(frozen=True)
class Kind:
    """One kind of input: `folder` holds valid files, of which `file` is spoilt; `read` reads what came out of it."""

    name: str
    folder: Path
    file: str
    read: Callable[[Path], object]
    structured: bool = False  # JSON: spoilt as a value, too
    beside: tuple[str, ...] = field(default=())  # files that must be there; all by default

    def spoilt(self, edits: list[Edit], as_value: bool = False) -> bytes:
        """The valid file after some edits."""
        data = (self.folder / self.file).read_bytes()
        if as_value and self.structured:
            return spoil_json(json.loads(data), edits)
        return spoil(data, edits)

    def outcome(self, data: bytes, scratch: Path) -> str:
        """What reading `data` comes to: "read", "refused", or what is wrong with how it was refused.

        `scratch` is a folder for the purpose.
        """
        place = scratch / self.name
        if not place.exists():
            place.mkdir(parents=True)
            for path in self.folder.iterdir():
                if path.name != self.file:
                    (place / path.name).hardlink_to(path)
        target = place / self.file
        target.unlink(missing_ok=True)
        target.write_bytes(data)
        return judged(lambda: self.read(target))


def judged(read: Callable[[], object]) -> str:
    """ "read", "refused" in one line, or the exception that should not have come."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            read()
    except SecateurError as problem:
        line = str(problem)
        if "\n" in line or not line or len(line) > 2500:
            return f"not one line: {line[:200]!r}"
        return "refused"
    except Exception as problem:
        at = problem.__traceback__
        while at and at.tb_next:
            at = at.tb_next
        where = f"{Path(at.tb_frame.f_code.co_filename).name}:{at.tb_lineno}" if at else ""
        return f"{type(problem).__name__} at {where}: {problem}"[:300]
    return "read"


def absent(name: str) -> Path:
    raise SecateurError(f"{name} cannot be had")


def _heard(path: Path) -> None:
    audio_info(path, LONGEST)
    read_audio(path, 16000, LONGEST)


def _told(path: Path) -> None:
    recogniser = Recogniser.load(path.parent, threads=1)
    recogniser.transcribe((0.1 * np.random.default_rng(0).standard_normal(4000)).astype(np.float32))


def _unpacked(path: Path) -> None:
    shutil.rmtree(path.parent / "out", ignore_errors=True)
    unpack(path, path.parent / "out", max_bytes=50_000_000, quiet=True)


def _sound(form: str, subtype: str) -> bytes:
    time = np.arange(8000) / 16000
    wave = 0.3 * np.sin(2 * np.pi * 440 * time) + 0.01 * np.random.default_rng(0).standard_normal(8000)
    out = io.BytesIO()
    soundfile.write(out, np.stack([wave, wave], 1) if form == "WAV" else wave, 16000, format=form, subtype=subtype)
    return out.getvalue()


SOUNDS = {
    "wav": ("WAV", "PCM_16"), "wav24": ("WAV", "PCM_24"), "wavfloat": ("WAV", "FLOAT"), "flac": ("FLAC", "PCM_16"),
    "opus": ("OGG", "OPUS"), "vorbis": ("OGG", "VORBIS"), "mp3": ("MP3", "MPEG_LAYER_III"), "aiff": ("AIFF", "PCM_16"),
    "au": ("AU", "PCM_16"), "sphere": ("NIST", "PCM_16"), "w64": ("W64", "PCM_16"), "caf": ("CAF", "PCM_16"),
    "adpcm": ("WAV", "MS_ADPCM"), "rf64": ("RF64", "PCM_16"),
}  # fmt: skip
# Read by FFmpeg's libraries: container, coding and rate.
MEDIA = {
    "m4a": ("ipod", "aac", 16000), "mp4": ("mp4", "alac", 16000), "webm": ("webm", "libopus", 48000),
    "mkv": ("matroska", "flac", 16000), "aac": ("adts", "aac", 16000), "asf": ("asf", "ac3", 48000),
    "flv": ("flv", "aac", 44100), "ts": ("mpegts", "mp2", 32000), "amr": ("amr", "libopencore_amrnb", 8000),
    "ac3": ("ac3", "ac3", 48000), "avi": ("avi", "libmp3lame", 16000), "wv": ("wv", "wavpack", 16000),
    "tta": ("tta", "tta", 16000), "g722": ("wav", "g722", 16000), "oga": ("ogg", "flac", 16000),
    "vbr": ("mp3", "libmp3lame", 16000), "piped": ("flac", "flac", 16000), "caf": ("caf", "alac", 16000),
}  # fmt: skip


def _media(muxer: str, codec: str, rate: int) -> bytes:
    import av

    time = np.arange(rate // 2) / rate
    wave = (9000 * np.sin(2 * np.pi * 440 * time)).astype(np.int16)
    out = io.BytesIO()
    with av.open(out, "w", format=muxer, options={"write_xing": "0"} if muxer == "mp3" else {}) as container:
        stream = container.add_stream(codec, rate=rate, layout="mono")
        frame = av.AudioFrame.from_ndarray(wave[None], "s16", "mono")
        frame.sample_rate, frame.pts = rate, 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    data = bytearray(out.getvalue())
    if muxer == "flac":  # as from a pipe: the number of samples is 0, unknown
        data[21:26] = bytes([data[21] & 0xF0, 0, 0, 0, 0])
    return bytes(data)


LINES = [
    {"id": f"a{i}", "audio": f"a{i}.wav", "duration": 1.5, "text": "hello there", "speaker": "ann", "language": "en",
     "age": 7} for i in range(3)
]  # fmt: skip
SPAN = {"start": 0.5, "end": 1.25, "channel": 0}
LABELLED = {
    "id": 4, "data": {"audio": "/data/upload/1/0a1b2c3d-a.wav", "speaker": "ann"}, "file_upload": "0a1b2c3d-a.wav",
    "annotations": [{"id": 9, "was_cancelled": False, "ground_truth": False, "result": [
        {"id": "r", "type": "labels", "from_name": "label", "value": SPAN | {"labels": ["Speech"]}},
        {"id": "r", "type": "textarea", "from_name": "transcription", "value": SPAN | {"text": ["hello there"]}},
    ]}],
}  # fmt: skip
STUDY = """name = "small"
model = "tiny.en"
train = ["train.jsonl"]
dev = ["dev.jsonl"]
seeds = [0, 1]
[tests]
quiet = "test.jsonl"
[conditions.noisy]
noise = "noise.jsonl"
snr_db = 5.0
[training]
steps = 4
learning_rate = 1e-3
[prune]
vocabulary = false
kinds = ["ffn", "head"]
[prune.amounts]
"encoder.mel" = 0.3
[arms.original]
zero_shot = true
[arms.dense]
[arms.units]
targets = [0.05, 0.1]
[arms.units.prune]
"""
GRAMMAR = (FOLDER / "coffee.toml").read_text(encoding="utf-8")


ARPA = """\\data\\
ngram 1=3
ngram 2=1

\\1-grams:
-1.0 <s> -0.3
-1.0 </s>
-0.5 a -0.2

\\2-grams:
-0.3 <s> a

\\end\\
"""


def make_kinds(root: Path) -> dict[str, Kind]:
    """Valid files of every kind, below `root`."""
    return {kind.name: kind for kind in _kinds(root)}


def _kinds(root: Path) -> Iterator[Kind]:
    def put(name: str, file: str, data: bytes | str) -> tuple[str, Path, str]:
        folder = root / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / file).write_bytes(data if isinstance(data, bytes) else data.encode())
        return name, folder, file

    for name, (form, subtype) in SOUNDS.items():
        yield Kind(*put(f"audio {name}", f"a.{name}", _sound(form, subtype)), _heard)
    for name, (muxer, codec, rate) in MEDIA.items():
        yield Kind(*put(f"media {name}", f"a.{name}", _media(muxer, codec, rate)), _heard)
    yield Kind(*put("manifest", "m.jsonl", "".join(json.dumps(line) + "\n" for line in LINES)), read_manifest)
    yield Kind(*put("manifest line", "m.jsonl", json.dumps(LINES[0])), read_manifest, structured=True)
    table = 'path,sentence,client_id,age\na.wav,hello there,ann,7\nb.wav,"so, well",bob,8\n'
    yield Kind(*put("label studio", "l.json", json.dumps([LABELLED])), lambda p: read_set(p), structured=True)
    yield Kind(*put("table csv", "t.csv", table), lambda p: list(read_table(p)))
    tabs = "path\tsentence\tage\na.wav\thello there\t7\nb.wav\tso\t8\n"
    yield Kind(*put("table tsv", "t.tsv", tabs), lambda p: list(read_table(p)))
    put("kaldi", "text", "a1 hello there\na2 good bye\n"), put("kaldi", "utt2spk", "a1 ann\na2 bob\n")
    yield Kind(*put("kaldi", "wav.scp", "a1 x/a1.wav\na2 ~/a2.wav\n"), lambda p: list(read_kaldi(p.parent)))
    yield Kind(
        *put("librispeech", "1-2.trans.txt", "1-2-0001 HELLO THERE\n1-2-0002 GOOD BYE\n"),
        lambda p: list(read_librispeech(p.parent)),
    )
    yield Kind(*put("study", "s.toml", STUDY), read_study)
    yield Kind(*put("grammar", "g.toml", GRAMMAR), lambda p: read_grammar(p))
    yield Kind(*put("json", "a.json", json.dumps({"a": [1, 2.5, "x", None], "b": {"c": True}})), read_json)
    yield from _model_kinds(root)
    yield from _result_kinds(root, put)
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as out:
        for n in range(3):
            member = tarfile.TarInfo(f"set/a{n}.txt")
            member.size = 500
            out.addfile(member, io.BytesIO(bytes(500)))
    yield Kind(*put("archive gz", "a.tar.gz", archive.getvalue()), _unpacked)
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.PAX_FORMAT) as out:
        for n in range(2):
            member = tarfile.TarInfo("set/" + "long" * 40 + str(n))
            member.size = 20
            out.addfile(member, io.BytesIO(bytes(20)))
    yield Kind(*put("archive", "a.tar", plain.getvalue()), _unpacked)


def _model_kinds(root: Path) -> Iterator[Kind]:
    def load(path: Path) -> object:
        return load_checkpoint(path.parent)

    ours = save_checkpoint(root / "checkpoint", *small_whisper())
    yield Kind("config of a Whisper", ours, "config.json", load, structured=True)
    yield Kind("safetensors", ours, "model.safetensors", lambda p: (read_header(p), load(p)))
    yield Kind("tokenizer", ours, "tokenizer.json", load, structured=True)
    units = characters_of(["hello"])
    for kind in ("everything", "conformer"):
        ctc = save_checkpoint(root / f"ctc {kind}", small_ctc(kind), units)
        yield Kind(f"config of a CTC model, {kind}", ctc, "config.json", load, structured=True)
    yield Kind("units of a CTC model", ctc, "units.json", lambda p: read_units(p), structured=True)
    model, tokenizer = small_uniform()
    theirs = _transformers(root / "transformers", model, tokenizer)
    foreign = lambda p: read_transformers(p.parent)  # noqa: E731
    for file in ("config.json", "tokenizer.json"):
        yield Kind(f"transformers {file}", theirs, file, foreign, structured=True)
    faster = write_folder(root / "ctranslate2", model_bin(variables_of(model)), tokenizer)
    other = lambda p: read_ctranslate2(p.parent)  # noqa: E731
    yield Kind("model.bin", faster, "model.bin", other)
    for file in ("config.json", "tokenizer.json"):
        yield Kind(f"ctranslate2 {file}", faster, file, other, structured=True)
    yield Kind("pt", _pt(root / "pt"), "m.pt", lambda p: read_openai(p, absent))
    exported = export_onnx(*small_whisper(), root / "onnx", "int8")
    for file in ("encoder.onnx", "decoder.onnx"):
        yield Kind(file, exported, file, _unmeasured)
    yield Kind("exported config.json", exported, "config.json", _unmeasured, structured=True)
    yield Kind("exported export.json", exported, "export.json", _told, structured=True)


def _unmeasured(path: Path) -> None:
    """An exported model whose record fits the spoilt file: whoever spoils one can spoil the other."""
    values = read_json(path.parent / "export.json")
    values["files"][path.name]["bytes"] = path.stat().st_size
    (path.parent / "export.json").unlink()  # a hard link to the valid one
    write_json(path.parent / "export.json", values)
    _told(path)


def _transformers(folder: Path, model: Any, tokenizer: Any) -> Path:
    """A `transformers` folder of a size that OpenAI does not have, which our own writer refuses."""
    config, special = model.config, special_of(tokenizer)
    names = {"decoder_start_token_id": "<|startoftranscript|>", "eos_token_id": "<|endoftext|>"}
    write_json(folder / "config.json", {
        "model_type": "whisper", "d_model": config.width, "vocab_size": config.vocabulary, "encoder_layers": 2,
        "decoder_layers": 3, "encoder_attention_heads": 3, "decoder_attention_heads": 3, "encoder_ffn_dim": 40,
        "decoder_ffn_dim": 40, "num_mel_bins": 80, "max_source_positions": 50, "max_target_positions": 32,
        "suppress_tokens": [3, 5], "begin_suppress_tokens": [7], **{key: special[name] for key, name in names.items()},
    })  # fmt: skip
    values = json.loads(tokenizer.definition)
    values["added_tokens"] = [{"content": name, "id": i} for name, i in special.items()]
    write_json(folder / "tokenizer.json", values)
    write_tensors(folder / "model.safetensors", {their_name(n): t for n, t in model.state_dict().items()}, {})
    return folder


def _pt(folder: Path) -> Path:
    """OpenAI's format with the right names and an English vocabulary of narrow rows."""
    folder.mkdir()
    dims = {"n_mels": 80, "n_audio_ctx": 20, "n_audio_state": 4, "n_audio_head": 2, "n_audio_layer": 1,
            "n_vocab": 51864, "n_text_ctx": 16, "n_text_state": 4, "n_text_head": 2, "n_text_layer": 1}  # fmt: skip
    weights = {"encoder.conv1.weight": torch.zeros(4, 80, 3).half(), "decoder.ln.bias": torch.zeros(4).half(),
               "encoder.blocks.0.mlp.0.weight": torch.zeros(16, 4).half()}  # fmt: skip
    torch.save({"dims": dims, "model_state_dict": weights}, folder / "m.pt")
    return folder


def _result_kinds(root: Path, put: Callable[..., tuple[str, Path, str]]) -> Iterator[Kind]:
    from secateur.data.manifest import Utterance
    from secateur.evaluate.result import write_result
    from secateur.evaluate.run import evaluate

    said = [Utterance(f"a{i}", Path(f"/a{i}.wav"), 1.0, "hello there you", f"s{i}") for i in range(3)]
    found = evaluate(lambda some: ["hello there me"] * 3, said, model="m", data="d", resamples=20)
    (root / "result").mkdir()
    write_result(root / "result" / "r.json", found)
    yield Kind("result", root / "result", "r.json", read_result, structured=True)
    site = Measured("f", "ffn", "encoder 0", "ffn", 0.25, ablated={"f": "0 3-5"})
    drawn = SensitivityMap("m", "d", "en", "wer", 20, 4, 0.3, 1.2, "taylor", {"f": 8}, (site,))
    write_map(root / "map" / "map.json", drawn)
    yield Kind(
        "sensitivity map", root / "map", "map.json", lambda p: [s.removed() for s in read_map(p).sites], structured=True
    )
    (root / "state").mkdir()
    save_state(root / "state" / "state.safetensors", {"a.b": torch.zeros(8)}, {"step": 1})
    yield Kind("training state", root / "state", "state.safetensors", load_state)
    yield Kind(*put("arpa", "lm.arpa", ARPA), read_ngram)
    from secateur.lm.tables import write_ngram

    (root / "ngram").mkdir()
    write_ngram(root / "ngram" / "lm.npz", read_ngram(root / "arpa" / "lm.arpa"))
    yield Kind("ngram", root / "ngram", "lm.npz", read_ngram)

"""One recogniser in its own process, for `runtime.py`: a line of JSON in (an audio array's file), a line out.

    python recognise.py secateur FOLDER THREADS
    python recognise.py faster-whisper-int8 FOLDER THREADS     (any interpreter that has faster-whisper and numpy)

Each answer is {"text", "seconds", "cpu", "peak_mb"}: the time from samples in memory to text, features included, by the
clock and of the processor (all threads), and the largest memory of the process so far. All decode greedily in one
attempt, without timestamps where they can.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

Transcribe = Callable[[Any], str]


def secateur(folder: str, threads: int) -> Transcribe:
    """An exported folder of ours."""
    from secateur.decode.options import DecodingOptions
    from secateur.runtime.recogniser import Recogniser

    recogniser = Recogniser.load(folder, threads=threads)
    options = DecodingOptions(language="en", timestamps=False, temperatures=(0.0,))
    return lambda samples: recogniser.transcribe(samples, options).text


def faster_whisper(compute_type: str) -> Callable[[str, int], Transcribe]:
    """faster-whisper on a CTranslate2 folder; it pads every clip to 30 s."""

    def load(folder: str, threads: int) -> Transcribe:
        from faster_whisper import WhisperModel

        model = WhisperModel(folder, device="cpu", compute_type=compute_type, cpu_threads=threads)

        def transcribe(samples: Any) -> str:
            segments, _ = model.transcribe(
                samples, language="en", beam_size=1, temperature=0.0, without_timestamps=True,
                condition_on_previous_text=False,
            )  # fmt: skip
            return " ".join(segment.text.strip() for segment in segments)

        return transcribe

    return load


def transformers(folder: str, threads: int) -> Transcribe:
    """transformers in fp32, a folder with processor."""
    import torch
    from transformers import WhisperForConditionalGeneration, WhisperProcessor

    torch.set_num_threads(threads)
    processor = WhisperProcessor.from_pretrained(folder)
    model = WhisperForConditionalGeneration.from_pretrained(folder).eval()

    def transcribe(samples: Any) -> str:
        features = processor(samples, sampling_rate=16000, return_tensors="pt").input_features
        with torch.inference_mode():
            ids = model.generate(features)
        return str(processor.batch_decode(ids, skip_special_tokens=True)[0]).strip()

    return transcribe


def pocketsphinx(folder: str, threads: int) -> Transcribe:
    """PocketSphinx with the English model that comes with it, or another in `folder`; one thread."""
    from pocketsphinx import Decoder

    paths = {} if folder == "-" else {"hmm": folder, "lm": f"{folder}/lm.bin", "dict": f"{folder}/words.dict"}
    decoder = Decoder(loglevel="FATAL", **paths)

    def transcribe(samples: Any) -> str:
        decoder.start_utt()
        decoder.process_raw((samples * 32767).astype(np.int16).tobytes(), full_utt=True)
        decoder.end_utt()
        found = decoder.hyp()
        return found.hypstr if found else ""

    return transcribe


def whisper_cpp(path: str, threads: int) -> Transcribe:
    """whisper.cpp through pywhispercpp on a ggml file."""
    from pywhispercpp.model import Model

    model = Model(path, n_threads=threads, print_progress=False, redirect_whispercpp_logs_to=None)
    return lambda samples: " ".join(s.text.strip() for s in model.transcribe(samples, language="en", no_context=True))


def vosk(folder: str, threads: int) -> Transcribe:
    """Vosk; one thread."""
    from vosk import KaldiRecognizer, Model, SetLogLevel

    SetLogLevel(-1)
    model = Model(folder)

    def transcribe(samples: Any) -> str:
        recogniser = KaldiRecognizer(model, 16000)
        recogniser.AcceptWaveform((samples * 32767).astype(np.int16).tobytes())
        return str(json.loads(recogniser.FinalResult())["text"])

    return transcribe


def moonshine(folder: str, threads: int) -> Transcribe:
    """Moonshine's ONNX runtime, a folder with encoder_model.onnx and decoder_model_merged.onnx; "base" in its name or
    tiny. It asks for all cores: the process is held to as many as there are threads."""
    from moonshine_onnx import MoonshineOnnxModel, load_tokenizer

    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    size = "base" if "base" in Path(folder).name else "tiny"
    model, tokenizer = MoonshineOnnxModel(models_dir=folder, model_name=size), load_tokenizer()
    return lambda samples: str(tokenizer.decode_batch(model.generate(samples[None]))[0])


def sherpa_onnx(folder: str, threads: int) -> Transcribe:
    """sherpa-onnx: a folder that `secateur export --format sherpa` wrote, or a transducer's three parts."""
    from sherpa_onnx import OfflineRecognizer

    where = Path(folder)
    tokens = str(where / "tokens.txt")
    if (where / "model.onnx").exists():
        recogniser = OfflineRecognizer.from_omnilingual_asr_ctc(str(where / "model.onnx"), tokens, threads)
    else:
        parts = [str(next(where.glob(f"{part}*.onnx"))) for part in ("encoder", "decoder", "joiner")]
        recogniser = OfflineRecognizer.from_transducer(*parts, tokens, threads)

    def transcribe(samples: Any) -> str:
        stream = recogniser.create_stream()
        stream.accept_waveform(16000, samples)
        recogniser.decode_stream(stream)
        return str(stream.result.text)

    return transcribe


KINDS: dict[str, Callable[[str, int], Transcribe]] = {
    "secateur": secateur, "faster-whisper-int8": faster_whisper("int8"),
    "faster-whisper-float32": faster_whisper("float32"), "transformers": transformers, "pocketsphinx": pocketsphinx,
    "whisper.cpp": whisper_cpp, "vosk": vosk, "moonshine": moonshine, "sherpa-onnx": sherpa_onnx,
}  # fmt: skip


def peak_megabytes() -> float:
    """The largest memory of this process; on Linux not what its parent had when it was started."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Answer until standard input ends."""
    kind, folder, threads = sys.argv[1:]
    start = time.perf_counter()
    transcribe = KINDS[kind](folder, int(threads))
    load = time.perf_counter() - start
    transcribe(np.zeros(16000, np.float32))  # the first run allocates
    print(json.dumps({"load": load}), flush=True)
    for line in sys.stdin:
        samples = np.load(json.loads(line))
        start, busy = time.perf_counter(), time.process_time()
        text = transcribe(samples)
        answer = {"text": text, "seconds": time.perf_counter() - start, "cpu": time.process_time() - busy}
        print(json.dumps({**answer, "peak_mb": peak_megabytes()}), flush=True)


if __name__ == "__main__":
    main()

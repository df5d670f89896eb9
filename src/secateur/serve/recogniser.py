"""Speech to text in three lines; exported models run without torch.

    recogniser = Recogniser.load("exported/model")
    print(recogniser.transcribe("clip.wav").text)
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..audio.read import read_audio
from ..base.errors import SecateurError, nearest
from ..base.extras import require
from ..models.decoding.clips import Heard, hear_clips, window_samples
from ..models.decoding.options import DecodingOptions
from ..models.decoding.session import Session
from ..models.decoding.windows import by_timestamps, hear_long
from ..text.tokenizer import Tokenizer
from .transcript import Transcript

BUNDLED = Path(__file__).parent / "bundled"

Recording = str | Path | NDArray[np.floating]


class Recogniser:
    """A network that decodes, and its tokenizer."""

    def __init__(self, session: Session, tokenizer: Tokenizer) -> None:
        self.session, self.tokenizer = session, tokenizer

    @classmethod
    def load(cls, model: str | Path | None = None, threads: int | None = None, device: str = "cpu") -> Recogniser:
        """A recogniser from an exported folder, a checkpoint folder (needs torch), or a bundled model's name.

        Args:
            model: folder or name; None: the bundled model.
            threads: CPU threads of the network; None: the runtime's own choice.
            device: where a checkpoint runs; exported models run on the CPU.

        Raises:
            SecateurError: no such model, or a file of it is missing or broken.
        """
        folder = find_model(model)
        if (folder / "encoder.onnx").exists() or (folder / "decoder.onnx").exists():
            from .onnx_session import OnnxSession

            session: Session = OnnxSession(folder, threads)
            return cls(session, Tokenizer.read(folder / "tokenizer.json", session.config.tokens.end))
        return cls(*_torch(folder, threads, device))

    @property
    def sample_rate(self) -> int:
        """Hz that arrays must have; files are resampled."""
        return self.session.config.front_end.sample_rate

    def transcribe(self, audio: Recording, options: DecodingOptions | None = None) -> Transcript:
        """The transcript of one recording: a file, or samples (n,) from -1 to 1 at `sample_rate`.

        Raises:
            SecateurError: audio that cannot be read, or options that the model cannot follow.
        """
        return self.transcribe_batch([audio], options)[0]

    def transcribe_batch(
        self, recordings: Sequence[Recording], options: DecodingOptions | None = None
    ) -> list[Transcript]:
        """Transcripts in the order of `recordings`; short clips run together, with the text they have alone.

        Raises:
            SecateurError: see `transcribe`; files that fail, and what is wrong with them, are named.
        """
        options = options or DecodingOptions()
        config = self.session.config
        audios = [self.samples(recording) for recording in recordings]
        timed = by_timestamps(config, options, long=False)
        short = [i for i, audio in enumerate(audios) if len(audio) <= window_samples(config) and not timed]
        clips = hear_clips(self.session, self.tokenizer, [audios[i] for i in short], options)
        heard = dict(zip(short, clips, strict=True))
        return [
            self._transcript(audio, heard[i] if i in heard else hear_long(self.session, self.tokenizer, audio, options))
            for i, audio in enumerate(audios)
        ]

    def samples(self, recording: Recording) -> NDArray[np.float32]:
        """A file's samples at `sample_rate`, or the array that was given, checked.

        Raises:
            SecateurError: audio that cannot be read, or an array that is not one channel of finite floats.
        """
        if isinstance(recording, str | Path):
            return read_audio(recording, self.sample_rate)
        samples = np.asarray(recording)
        if samples.ndim != 1 or not np.issubdtype(samples.dtype, np.floating):
            raise SecateurError(
                f"samples must be one channel of floats from -1 to 1, found {samples.dtype} of shape {samples.shape}"
            )
        if not np.isfinite(samples).all():
            raise SecateurError("samples contain NaN or infinity")
        return samples.astype(np.float32, copy=False)

    def _transcript(self, audio: NDArray[np.float32], heard: Heard) -> Transcript:
        ids = [i for segment in heard.segments for i in segment.tokens]
        text = self.tokenizer.decode(ids).strip()
        return Transcript(text, heard.language, heard.segments, round(len(audio) / self.sample_rate, 3))


def find_model(model: str | Path | None) -> Path:
    """The folder of a model given by path or bundled name; None: the first bundled one.

    Raises:
        SecateurError: there is none.
    """
    if model is not None and Path(model).is_dir():
        return Path(model)
    folders = {file.parent.name: file.parent for file in sorted(BUNDLED.glob("**/config.json"))}
    if model is None:
        if not folders:
            raise SecateurError("no model is bundled with this installation: name a model folder with --model FOLDER")
        return next(iter(folders.values()))
    if str(model) not in folders:
        known = f"; bundled: {', '.join(folders)}" if folders else ""
        raise SecateurError(f"{model}: no such model folder{nearest(str(model), folders)}{known}")
    return folders[str(model)]


def _torch(folder: Path, threads: int | None, device: str) -> tuple[Session, Tokenizer]:
    """A session for a checkpoint folder, ours or in the layout of `transformers`."""
    if not (folder / "model.safetensors").exists():
        raise SecateurError(f"{folder}: neither an exported model (encoder.onnx) nor a checkpoint (model.safetensors)")
    torch = require("torch", "train")
    from ..base.files import read_json
    from ..models.checkpoint import load_checkpoint
    from ..models.weights.transformers_folder import read_transformers
    from ..models.whisper.session import TorchSession

    if threads is not None:
        torch.set_num_threads(threads)
    foreign = "model_type" in read_json(folder / "config.json")
    model, tokenizer = read_transformers(folder) if foreign else load_checkpoint(folder, device)
    return TorchSession(model.to(device)), tokenizer

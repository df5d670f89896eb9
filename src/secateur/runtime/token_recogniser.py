"""A Whisper as a recogniser."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..decode.clips import DecodedAudio, batches, decode_clips, limits_of
from ..decode.fusion import language_model
from ..decode.options import DecodingOptions
from ..decode.prompt import chosen, prompt
from ..decode.segments import Audio
from ..decode.session import DecoderSession, DeviceDecoder
from ..decode.windows import by_timestamps, decode_long, follows, vote
from ..text.tokenizer import Tokenizer
from .onnx_session import OnnxSession
from .recogniser import Recogniser


class WhisperRecogniser(Recogniser):
    """A session that decodes, and its tokenizer."""

    def __init__(self, session: DecoderSession, tokenizer: Tokenizer) -> None:
        self.config, self.session, self.tokenizer = session.config, session, tokenizer
        self.shows_words = session.shows_attention

    def to_bf16(self) -> None:
        """See `Recogniser.to_bf16`."""
        if isinstance(self.session, DeviceDecoder):
            self.session.to_bf16()

    @property
    def languages(self) -> list[str]:
        """See `Recogniser.languages`."""
        return sorted(self.config.tokens.languages) or ["en"]

    @property
    def window_seconds(self) -> float:
        """See `Recogniser.window_seconds`."""
        return float(self.config.max_seconds)

    def groups(self, audios: Sequence[Audio], options: DecodingOptions) -> list[list[int]]:
        """Clips of similar length that fit a window together; each longer one alone."""
        short = [i for i, audio in enumerate(audios) if not self._long(audio, options)]
        together = batches([len(audios[i]) for i in short], self.config, limits_of(self.session))
        alone = [[i] for i, audio in enumerate(audios) if self._long(audio, options)]
        return [*([short[k] for k in group] for group in together), *alone]

    def decode_group(self, audios: Sequence[Audio], options: DecodingOptions) -> list[DecodedAudio]:
        """See `Recogniser.decode_group`."""
        if len(audios) == 1 and self._long(audios[0], options):
            return [decode_long(self.session, self.tokenizer, audios[0], options)]
        return decode_clips(self.session, self.tokenizer, audios, options)

    def check(self, options: DecodingOptions) -> None:
        """See `Recogniser.check`."""
        if options.lm:
            language_model(options.lm, options.lm_shares)
        language = chosen(self.config.tokens, options.language) or self.languages[0]
        prompt(self.config, self.tokenizer, options, language, timestamps=False)

    def in_turn(self, audio: Audio, options: DecodingOptions) -> bool:
        """See `Recogniser.in_turn`."""
        return follows(self.config, options, len(audio) > self.config.window)

    def language_of(self, clips: Sequence[Audio]) -> str | None:
        """See `Recogniser.language_of`."""
        return vote(self.session, clips) if len(self.config.tokens.languages) > 1 else None

    def text_of(self, decoded: DecodedAudio) -> str:
        """See `Recogniser.text_of`."""
        return self.tokenizer.decode([i for segment in decoded.segments for i in segment.tokens]).strip()

    def _long(self, audio: Audio, options: DecodingOptions) -> bool:
        """Whether it takes several windows, or timestamps in one."""
        config = self.config
        return len(audio) > config.window or by_timestamps(config, options, long=False)


def from_export(folder: Path, threads: int | None) -> WhisperRecogniser:
    """A recogniser of an exported folder.

    Raises:
        SecateurError: a missing or broken file.
    """
    session = OnnxSession(folder, threads)
    recogniser = WhisperRecogniser(session, Tokenizer.read(folder / "tokenizer.json", session.config.tokens.end))
    recogniser.graphs = session.graphs
    return recogniser

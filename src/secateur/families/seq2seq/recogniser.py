"""An encoder-decoder in torch as a recogniser."""

from __future__ import annotations

from ...models.token_network import TokenNetwork
from ...models.torch_session import TorchSession
from ...runtime.token_recogniser import WhisperRecogniser
from ...text.tokenizer import Tokenizer


def recogniser_of(model: TokenNetwork, text: Tokenizer) -> WhisperRecogniser:
    """A recogniser on the device that `model` is on."""
    return WhisperRecogniser(TorchSession(model), text)

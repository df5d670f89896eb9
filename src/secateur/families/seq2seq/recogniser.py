"""An encoder-decoder in torch as a recogniser."""

from __future__ import annotations

from ...models.device_session import DeviceSession
from ...models.token_network import TokenNetwork
from ...models.torch_session import TorchSession
from ...runtime.token_recogniser import WhisperRecogniser
from ...text.tokenizer import Tokenizer


def recogniser_of(model: TokenNetwork, text: Tokenizer) -> WhisperRecogniser:
    """A recogniser on the device that `model` is on; on a GPU it takes large batches."""
    on_gpu = next(model.parameters()).device.type != "cpu"
    return WhisperRecogniser(DeviceSession(model) if on_gpu else TorchSession(model), text)

"""Many clips at once give what each gives alone, from the features that the runtime computes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from small_ctc import CONFIGS, small_ctc  # noqa: E402

from secateur.data.bank import AudioBank  # noqa: E402
from secateur.families.ctc.model import CtcModel  # noqa: E402
from secateur.families.ctc.task import log_probs_bank  # noqa: E402
from secateur.features.front_end import extract, front_end  # noqa: E402

FRONT_ENDS = {
    "fbank": front_end("fbank", bins=19),
    "mfcc": front_end("mfcc", deltas=2, normalise="mean_variance"),
    "8 kHz": front_end("fbank", 8000, bins=19),
    "whisper": front_end("whisper"),
    "some inputs": front_end("mfcc", kept=(0, 3, 4, 11)),
}


@pytest.mark.parametrize("features", FRONT_ENDS)
@pytest.mark.parametrize("kind", ["everything", "subsampled gru"])
def test_a_bank_gives_what_each_clip_gives_alone(kind: str, features: str) -> None:
    torch.manual_seed(0)
    model = CtcModel(replace(CONFIGS[kind], front_end=FRONT_ENDS[features])).train()
    random = np.random.default_rng(0)
    clips = [random.normal(0, 0.1, n).astype(np.float32) for n in (16000, 100, 9000, 12345, 0, 5000)]
    clips[3] *= 0.1
    bank = AudioBank(clips)
    found = log_probs_bank(model, bank, batch_seconds=1.7)
    assert model.training  # as it was
    model.eval()
    assert len(found) == len(clips)
    for row, log_probs in enumerate(found):
        samples = bank.gather([row])[0][0].numpy()
        inputs = extract(samples, model.config.front_end)
        if not len(inputs):
            assert log_probs.shape == (0, 7)
            continue
        with torch.no_grad():
            alone = model(torch.from_numpy(inputs)[None])[0][0].numpy()
        np.testing.assert_allclose(log_probs, alone, atol=2e-3)
        np.testing.assert_allclose(np.exp(log_probs).sum(1), 1, atol=1e-5)


def test_no_clips_no_outputs() -> None:
    assert log_probs_bank(small_ctc("gru"), AudioBank([])) == []

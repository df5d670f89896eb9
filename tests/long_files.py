"""Which test files take long: they go first in `make test` and are left out of `make check`."""

from __future__ import annotations

# The longest first, so that no process is left alone with one at the end: `make test` deals out whole files, and the
# workers take them in this order. After a change: .venv/bin/python -m pytest --durations=40
LONG_FILES = (
    "test_adapt", "test_founding", "test_kill", "test_study", "test_ctc_study", "test_hf_arm", "test_speech",
    "test_evaluate_command", "test_hub", "test_keras_export", "test_keras_sensitivity", "test_keras_prune",
    "test_package", "test_smoothing", "test_plugins", "test_distributed", "test_study_chinese", "test_ctc_arm",
    "test_calibration", "test_ray", "test_trunk_arm", "test_moonshine_arm", "test_ctc_units",
    "test_streamed", "test_adapt_use", "test_scarce", "test_families_study", "test_larger",
    "test_ctc_shrink", "test_export_whisper_tiny", "test_docs", "test_hostile", "test_named_cost",
)  # fmt: skip
# Each is a job from data to report, or starts one process after the other on a cluster: a longer limit.
WHOLE_JOBS = ("test_adapt", "test_founding", "test_ray")

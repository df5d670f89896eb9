"""CTC models of `transformers` as ONNX."""

from __future__ import annotations

from ...export.frame_export import FrameExporter
from .graph import hf_ctc_graph

EXPORTER = FrameExporter(hf_ctc_graph)

"""Our CTC models as ONNX."""

from __future__ import annotations

from ...export.frame_export import FrameExporter
from .graph import ctc_graph
from .graph_stream import ctc_stream_graph

EXPORTER = FrameExporter(ctc_graph, ctc_stream_graph)

"""Moonshine as ONNX."""

from __future__ import annotations

from ...export.token_export import TokenExporter
from .graph import decoder_graph, encoder_graph

EXPORTER = TokenExporter(encoder_graph, decoder_graph)

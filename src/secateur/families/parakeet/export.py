"""Parakeet as ONNX."""

from __future__ import annotations

from ...export.frame_export import FrameExporter
from .graph import parakeet_graph

EXPORTER = FrameExporter(parakeet_graph)

"""What Prometheus reads at /metrics."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

BUCKETS = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)


class Metrics:
    """Counters of one server, in a registry of their own."""

    def __init__(self) -> None:
        registry = self.registry = CollectorRegistry()
        self.requests = Counter("secateur_requests_total", "Answered requests", ["path", "status"], registry=registry)
        self.audio = Counter("secateur_audio_seconds_total", "Seconds of audio recognised", registry=registry)
        self.refused = Counter("secateur_refused_total", "Requests refused by a limit", ["limit"], registry=registry)
        self.abandoned = Counter(
            "secateur_abandoned_total",
            "Recognitions dropped because their client had left, or its time was over",
            ["at"],
            registry=registry,
        )
        self.recognition = Histogram(
            "secateur_recognition_seconds", "Time of one recognition", buckets=BUCKETS, registry=registry
        )
        self.wait = Histogram(
            "secateur_wait_seconds", "Wait of one recognition for its turn", buckets=BUCKETS, registry=registry
        )
        self.waiting = Gauge("secateur_waiting", "Recognitions waiting for their turn", registry=registry)
        self.in_flight = Gauge("secateur_in_flight", "Requests and streams being served", registry=registry)
        self.streams = Gauge("secateur_streams", "Open streams", ["protocol"], registry=registry)

    def text(self) -> bytes:
        """In Prometheus' text format."""
        return generate_latest(self.registry)

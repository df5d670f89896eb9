"""A real `secateur serve` in a process of its own, on free loopback ports."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO


@dataclass
class Running:
    """A server that answers."""

    process: subprocess.Popen[bytes]
    port: int
    wyoming: int
    log: IO[bytes]  # not a pipe, which fills up and stops a server that has much to say

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def get(self, path: str) -> str:
        with urllib.request.urlopen(self.url + path, timeout=10) as answer:
            return str(answer.read().decode())

    def said(self) -> str:
        """What it wrote to standard error."""
        self.log.seek(0)
        return self.log.read().decode()

    def stop(self, sig: int = signal.SIGTERM, timeout: float = 20) -> int:
        """Send a signal and wait; the exit code."""
        self.process.send_signal(sig)
        return self.process.wait(timeout)


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextlib.contextmanager
def serving(*words: str, at: int | None = None, **environment: str) -> Iterator[Running]:
    """`secateur serve` with these options, `at` a port, ended at the latest when the block ends."""
    port, wyoming = at or free_port(), free_port()
    command = [sys.executable, "-m", "secateur", "serve", "--port", str(port), "--wyoming-port", str(wyoming), *words]
    log = tempfile.TemporaryFile()  # noqa: SIM115  (closed below)
    process = subprocess.Popen(command, stderr=log, env={**os.environ, **environment})
    running = Running(process, port, wyoming, log)
    try:
        for _ in range(600):
            with contextlib.suppress(OSError):
                running.get("/healthz")
                break
            if process.poll() is not None:
                raise AssertionError(f"the server ended: {running.said()}")
            time.sleep(0.05)
        yield running
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        log.close()

"""What clients that left cost, and what a long recording leaves behind: waits and the server's memory.

    python benchmarks/abandoned.py --out benchmarks/results/abandoned.json

One `secateur serve` with one worker and the bundled model. A clip is sent alone, then behind uploads of five minutes
each whose clients are killed when all have been sent, then behind as many whose clients stay: the time until its answer
is what is given. Memory (resident, MB) is read after ten short clips, at its peak while half an hour is transcribed,
and after it.
"""

from __future__ import annotations

import argparse
import io
import os
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from recorded import how

from secateur.audio.read import read_audio
from secateur.base.files import write_json

ROOT = Path(__file__).resolve().parent.parent
LONG, HOUR = 300, 1800  # seconds


def main() -> None:
    """Measure, print, write."""
    sys.path.insert(0, str(ROOT / "tests"))
    from running_server import Running, serving

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("SECATEUR_DATA", "../shared/data")))
    parser.add_argument("--left", type=int, default=4, help="so many clients leave")
    parser.add_argument("--out", type=Path, help="write the numbers as JSON here")
    options = parser.parse_args()
    files = sorted((options.data / "librispeech-mini" / "test").glob("*"))[:40]
    speech = np.concatenate([read_audio(file) for file in files])
    short, long = flac(speech[: 4 * 16_000]), flac(np.resize(speech, LONG * 16_000))

    def send(server: Running, data: bytes) -> Any:
        body = b'--b\r\nContent-Disposition: form-data; name="file"; filename=x\r\n\r\n' + data + b"\r\n--b--\r\n"
        headers = {"Content-Type": "multipart/form-data; boundary=b"}
        request = urllib.request.Request(server.url + "/v1/audio/transcriptions", body, headers)
        return urllib.request.urlopen(request, timeout=1200)

    def wait(server: Running) -> float:
        begun = time.monotonic()
        with send(server, short) as answer:
            answer.read()
        return round(time.monotonic() - begun, 2)

    def number(server: Running, name: str) -> float:
        lines = (line.rsplit(" ", 1) for line in server.get("/metrics").splitlines())
        return next((float(value) for key, value in lines if key == name), 0.0)

    def waits_behind(server: Running, leave: bool) -> float:
        code = (
            "import socket, sys; s = socket.create_connection(('127.0.0.1', int(sys.argv[1])));"
            "s.sendall(sys.stdin.buffer.read()); s.recv(1)"
        )
        body = b'--b\r\nContent-Disposition: form-data; name="file"; filename=x\r\n\r\n' + long + b"\r\n--b--\r\n"
        head = (
            "POST /v1/audio/transcriptions HTTP/1.1\r\nHost: localhost\r\n"
            f"Content-Type: multipart/form-data; boundary=b\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        clients = []
        for _ in range(options.left):
            one = subprocess.Popen([sys.executable, "-S", "-c", code, str(server.port)], stdin=subprocess.PIPE)
            assert one.stdin is not None
            one.stdin.write(head.encode() + body)
            one.stdin.close()
            clients.append(one)
        while number(server, "secateur_in_flight") < options.left:
            time.sleep(0.05)
        if leave:
            for one in clients:
                one.kill()
        waited = wait(server)
        for one in clients:
            one.kill()
            one.wait()
        while number(server, "secateur_in_flight"):
            time.sleep(0.1)
        return waited

    found: dict[str, Any] = {"clients": options.left, "seconds_each": LONG}
    words = ["--limits.workers", "1", "--limits.megabytes", "100", "--limits.timeout", "1200"]
    with serving(*words, "--detector", "energy") as server:
        wait(server)
        found["alone_s"] = wait(server)
        found["behind_left_s"] = waits_behind(server, True)
        found["behind_staying_s"] = waits_behind(server, False)
    with serving(*words) as server:
        place = Path(f"/proc/{server.process.pid}")
        for _ in range(10):
            wait(server)
        found["memory_before"] = resident(place)
        peak, done = [0.0], threading.Event()

        def watch() -> None:
            while not done.wait(0.1):
                peak[0] = max(peak[0], resident(place))

        thread = threading.Thread(target=watch)
        thread.start()
        with send(server, flac(np.resize(speech, HOUR * 16_000))) as answer:
            answer.read()
        done.set()
        thread.join()
        begun = number(server, "secateur_recognition_seconds_count")
        while number(server, "secateur_recognition_seconds_count") < max(12.0, begun):
            time.sleep(0.1)
        found |= {"memory_seconds": HOUR, "memory_peak": peak[0], "memory_after": resident(place)}
    print(found)
    if options.out:
        write_json(options.out, {"how": how(), **found})


def flac(samples: np.ndarray[Any, Any]) -> bytes:
    """As a file."""
    file = io.BytesIO()
    soundfile.write(file, samples, 16_000, format="FLAC")
    return file.getvalue()


def resident(place: Path) -> float:
    """Megabytes of a process."""
    return round(int((place / "statm").read_text().split()[1]) * 4096 / 1e6, 1)


if __name__ == "__main__":
    main()

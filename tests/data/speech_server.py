"""A loopback HTTP server of one folder with Range, ETag, and faults on request."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


@dataclass
class Server:
    """What tests steer and look at."""

    folder: Path
    url: str = ""
    cut_after: list[int] = field(default_factory=list)  # bytes sent before the connection breaks, one a request
    requests: list[tuple[str, str]] = field(default_factory=list)  # path and Range of each
    ranges: bool = True
    etag: str = '"one"'


@contextlib.contextmanager
def serve(folder: Path) -> Iterator[Server]:
    """Serve `folder` until the block ends."""
    state = Server(folder)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = self.headers.get("Range", "")
            state.requests.append((self.path, asked))
            path = state.folder / self.path.lstrip("/")
            if not path.is_file():
                self.send_error(404)
                return
            body = path.read_bytes()
            start = 0
            current = self.headers.get("If-Range", state.etag) == state.etag
            if asked and state.ranges and current:
                start = int(asked.removeprefix("bytes=").split("-")[0])  # the end is ignored
                if start >= len(body):
                    self.send_response(416)
                    self.send_header("Content-Range", f"bytes */{len(body)}")
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                self.send_response(206)
                self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
            else:
                self.send_response(200)
            self.send_header("Content-Length", str(len(body) - start))
            self.send_header("ETag", state.etag)
            self.end_headers()
            rest = body[start:]
            if state.cut_after:
                rest = rest[: state.cut_after.pop(0)]
                self.close_connection = True
            self.wfile.write(rest)

        def log_message(self, *_: object) -> None:
            """Tests are quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

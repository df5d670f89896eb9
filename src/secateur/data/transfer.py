"""Fetching one file over HTTP: resumed after an interruption, checked, and in place only when it is whole."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import queue
import shutil
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from errno import EACCES, ENOSPC, EROFS
from pathlib import Path

from ..base.errors import SecateurError
from ..base.files import write_text
from ..base.progress import say, track
from ..base.version import __version__

AGENT = f"secateur/{__version__}"
PIECE = 1 << 18  # bytes
ATTEMPTS = 4  # at one address without a single new byte


def fetch(urls: Sequence[str], path: Path, checksum: str = "", timeout: float = 30.0, quiet: bool = False) -> Path:
    """Fetch `path` from the first of `urls` that has it; an existing file is kept, a partial one is resumed.

    `checksum` is "md5:..." or "sha256:...". Without one the file's SHA-256 is noted in `<path>.sha256` after the first
    download, and held against later ones. `timeout` (s) is for connecting and for every read. A broken connection is
    resumed where it broke; a part that turns out wrong is removed.

    Raises:
        SecateurError: no address delivers the file; the message lists what was tried and why it failed.
    """
    if path.exists():
        return path
    record = path.with_name(path.name + ".sha256")
    expected = checksum or (f"sha256:{record.read_text().split()[0]}" if record.exists() else "")
    part, tried = path.with_name(path.name + ".part"), []
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        for url in urls:
            try:
                _fetch_part(url, part, timeout, quiet)
                _verify(part, expected)
            except (OSError, http.client.HTTPException, _WrongError) as problem:
                if getattr(problem, "errno", None) in (EACCES, ENOSPC, EROFS):  # ours, not the server's
                    raise
                tried.append(f"{url} ({_reason(problem)})")
                continue
            part.replace(path)
            _validator(part).unlink(missing_ok=True)
            if not expected:
                checksum_of_file = _digest(path, "sha256")
                write_text(record, f"{checksum_of_file}  {path.name}\n")
                say(f"{path.name}: its publisher gives no checksum; SHA-256 {checksum_of_file} noted for the next time")
            return path
    except OSError as problem:
        raise SecateurError(f"{path.parent}: cannot keep the download ({problem.strerror or problem})") from problem
    raise SecateurError(f"{path.name} could not be fetched; tried {'; '.join(tried)}")


def first_to_answer(urls: Sequence[str], seconds: float) -> str | None:
    """The first of `urls` that delivers a byte within `seconds`, the look-up of its name included; None when none does.

    All are asked at the same time. A resolver that hangs cannot be interrupted, so its thread is left behind.
    """
    answers: queue.Queue[str | None] = queue.Queue()

    def ask(url: str) -> None:
        request = urllib.request.Request(url, headers={"User-Agent": AGENT, "Range": "bytes=0-0"})
        answer = None
        quiet = contextlib.suppress(OSError, http.client.HTTPException)
        with quiet, urllib.request.urlopen(request, timeout=seconds) as body:
            answer = url if body.read(1) else None
        answers.put(answer)

    for url in urls:
        threading.Thread(target=ask, args=(url,), daemon=True).start()
    deadline = time.monotonic() + seconds
    with contextlib.suppress(queue.Empty):
        for _ in urls:
            if answer := answers.get(timeout=max(0.0, deadline - time.monotonic())):
                return answer
    return None


class _WrongError(Exception):
    """What came is not what was asked for."""


def _fetch_part(url: str, part: Path, timeout: float, quiet: bool) -> None:
    """Make `part` whole from `url`, with as many requests as it takes as long as each brings something."""
    fruitless = 0
    while True:
        before = part.stat().st_size if part.exists() else 0
        try:
            if _request(url, part, timeout, quiet):
                return
        except urllib.error.HTTPError as problem:
            if problem.code == 416 and before:
                if problem.headers.get("Content-Range", "").endswith(f"/{before}"):
                    return  # the part was whole already
                _discard(part)
            elif problem.code < 500:
                raise
            failure: Exception = problem
        except (TimeoutError, ConnectionError, http.client.HTTPException) as problem:
            failure = problem
        else:
            failure = ConnectionError("the connection ended too early")
        fruitless = 0 if part.exists() and part.stat().st_size > before else fruitless + 1
        if fruitless >= ATTEMPTS:
            raise failure
        time.sleep(fruitless / 2)


def _request(url: str, part: Path, timeout: float, quiet: bool) -> bool:
    """One request that adds to `part`; whether it is whole now."""
    have = part.stat().st_size if part.exists() else 0
    headers = {"User-Agent": AGENT, "Accept-Encoding": "identity"}
    validator = _validator(part)
    if have:
        headers["Range"] = f"bytes={have}-"
        mark = validator.read_text() if validator.exists() else ""
        if mark:  # should the file have changed since, all of it comes
            headers["If-Range"] = mark
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=timeout) as answer:
        start = int(answer.headers.get("Content-Range", "bytes 0-").split()[1].split("-")[0])
        if answer.status == 206 and start != have:
            raise _WrongError(f"asked for the bytes from {have} on, got those from {start} on")
        if answer.status != 206:
            have = 0
        length = answer.headers.get("Content-Length")
        total = have + int(length) if length else None
        if total is not None and shutil.disk_usage(part.parent).free < total - have:
            raise _WrongError(f"{(total - have) / 1e6:.0f} MB do not fit on the disk")
        mark = answer.headers.get("ETag") or answer.headers.get("Last-Modified") or ""
        if have == 0:
            write_text(validator, "" if mark.startswith("W/") else mark)
        with part.open("ab" if have else "wb") as out:
            for piece in _pieces(answer, part.stem, have, total, quiet):
                out.write(piece)
    return total is None or part.stat().st_size == total


def _pieces(answer: http.client.HTTPResponse, name: str, have: int, total: int | None, quiet: bool) -> Iterator[bytes]:
    """The body, with a progress bar in megabytes."""
    whole = None if total is None else -(-(total - have) // PIECE)
    size = "" if total is None else f" {(total - have) / 1e6:.1f} MB"
    label = f"{name}: {'going on,' if have else 'fetching'}{size}"
    yield from track(iter(lambda: answer.read(PIECE), b""), label, whole, quiet)


def _verify(part: Path, expected: str) -> None:
    if not expected:
        return
    kind, expected_digest = expected.split(":")
    digest = _digest(part, kind)
    if digest != expected_digest:
        _discard(part)
        raise _WrongError(f"wrong checksum: {kind} {digest} instead of {expected_digest}; it was removed")


def _digest(path: Path, kind: str) -> str:
    with path.open("rb") as source:
        return hashlib.file_digest(source, lambda: hashlib.new(kind, usedforsecurity=False)).hexdigest()


def _validator(part: Path) -> Path:
    """Where the server's mark of the version that `part` is a piece of is kept."""
    return part.with_name(part.name + ".etag")


def _discard(part: Path) -> None:
    part.unlink(missing_ok=True)
    _validator(part).unlink(missing_ok=True)


def _reason(problem: Exception) -> str:
    if isinstance(problem, urllib.error.HTTPError):
        return f"HTTP {problem.code} {problem.reason}"
    inner = getattr(problem, "reason", problem)
    return str(getattr(inner, "strerror", None) or inner or type(problem).__name__)

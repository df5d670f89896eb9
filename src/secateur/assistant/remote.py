"""JSON over HTTP with the standard library: what skills and the chat endpoint need."""

from __future__ import annotations

import json
import urllib.error
import urllib.request

from ..base.errors import SecateurError
from ..base.files import Json

MOST = 1 << 20  # bytes of an answer that are read


def get_json(url: str, timeout: float, token: str = "") -> Json:
    """The JSON object at an address.

    Raises:
        SecateurError: no answer, or one that is not a JSON object.
    """
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return _ask(urllib.request.Request(_checked(url), headers=headers), timeout)


def post_json(url: str, value: object, timeout: float, token: str = "") -> Json:
    """Send JSON; the answer's JSON object, or an empty one.

    Raises:
        SecateurError: no answer, a refusal, or an answer that is not a JSON object.
    """
    headers = {"Content-Type": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    data = json.dumps(value, ensure_ascii=False).encode()
    return _ask(urllib.request.Request(_checked(url), data, headers, method="POST"), timeout)


def _checked(url: str) -> str:
    if not url.startswith(("http://", "https://")):
        raise SecateurError(f"'{url}' is not an http address")
    return url


def _ask(request: urllib.request.Request, timeout: float) -> Json:
    host = request.host
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            data = answer.read(MOST)
    except urllib.error.HTTPError as problem:
        raise SecateurError(f"{host} answered {problem.code} {problem.reason}") from problem
    except OSError as problem:
        raise SecateurError(f"{host} does not answer ({getattr(problem, 'reason', problem)})") from problem
    if not data.strip():
        return {}
    try:
        result = json.loads(data)
    except ValueError as problem:
        raise SecateurError(f"{host} answered something that is not JSON") from problem
    return result if isinstance(result, dict) else {"answer": result}

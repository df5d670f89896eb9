"""An optional brain for what no intent covers: any endpoint that speaks OpenAI's chat completions."""

from __future__ import annotations

import threading
from collections import OrderedDict

from ..base.errors import SecateurError
from .remote import post_json

SYSTEM = "You answer spoken questions in one or two short sentences that sound well when read aloud."
TURNS = 8  # messages of a conversation that are sent along
CLIENTS = 200  # conversations that are remembered; the one that rested longest is forgotten first


class Chat:
    """The conversations with every client, each for itself.

    Args:
        url: base address, such as http://localhost:8080/v1
        model: the name the endpoint knows.
    """

    def __init__(self, url: str, model: str = "default", key: str = "", timeout: float = 30.0) -> None:
        self.url, self.model, self.key, self.timeout = url.rstrip("/"), model, key, timeout
        self._lock = threading.Lock()
        self._turns: OrderedDict[str, list[dict[str, str]]] = OrderedDict()

    def answer(self, text: str, client: str = "") -> str:
        """What the endpoint answers to `text`, with the client's conversation before it.

        Raises:
            SecateurError: no answer, or not one of a chat.
        """
        question = {"role": "user", "content": text}
        with self._lock:
            before = list(self._turns.get(client, ()))
        messages = [{"role": "system", "content": SYSTEM}, *before, question]
        reply = post_json(
            f"{self.url}/chat/completions", {"model": self.model, "messages": messages}, self.timeout, self.key
        )
        try:
            answer = str(reply["choices"][0]["message"]["content"]).strip()
        except (KeyError, IndexError, TypeError):
            raise SecateurError(f"{self.url} did not answer as a chat endpoint does") from None
        with self._lock:
            now = self._turns.get(client, [])
            self._turns[client] = [*now, question, {"role": "assistant", "content": answer}][-TURNS:]
            self._turns.move_to_end(client)
            while len(self._turns) > CLIENTS:
                self._turns.popitem(last=False)
        return answer

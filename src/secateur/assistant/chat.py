"""An optional brain for what no intent covers: any endpoint that speaks OpenAI's chat completions."""

from __future__ import annotations

from ..base.errors import SecateurError
from .remote import post_json

SYSTEM = "You answer spoken questions in one or two short sentences that sound well when read aloud."
TURNS = 8  # messages of the conversation that are sent along


class Chat:
    """One conversation.

    Args:
        url: base address, such as http://localhost:8080/v1
        model: the name the endpoint knows.
    """

    def __init__(self, url: str, model: str = "default", key: str = "", timeout: float = 30.0) -> None:
        self.url, self.model, self.key, self.timeout = url.rstrip("/"), model, key, timeout
        self._said: list[dict[str, str]] = []

    def answer(self, text: str) -> str:
        """What the endpoint answers to `text`, with the conversation before it.

        Raises:
            SecateurError: no answer, or not one of a chat.
        """
        question = {"role": "user", "content": text}
        messages = [{"role": "system", "content": SYSTEM}, *self._said, question]
        found = post_json(
            f"{self.url}/chat/completions", {"model": self.model, "messages": messages}, self.timeout, self.key
        )
        try:
            answer = str(found["choices"][0]["message"]["content"]).strip()
        except (KeyError, IndexError, TypeError):
            raise SecateurError(f"{self.url} did not answer as a chat endpoint does") from None
        self._said = [*self._said, question, {"role": "assistant", "content": answer}][-TURNS:]
        return answer

"""Which ids mean what to a Whisper decoder: the part of the checkpoint that decoding reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from .languages import base_language


@dataclass(frozen=True)
class Tokens:
    """Special token ids of one vocabulary (they move when vocabulary rows are pruned).

    `timestamps` is the id of `<|0.00|>`; the following ids count 20 ms steps up to `timestamp_count`.
    A model whose timestamp rows were pruned has `timestamps = None`.
    """

    start: int  # <|startoftranscript|>
    end: int  # <|endoftext|>
    no_timestamps: int | None = None
    timestamps: int | None = None
    timestamp_count: int = 0
    transcribe: int | None = None
    translate: int | None = None
    previous: int | None = None  # <|startofprev|>
    no_speech: int | None = None  # <|nocaptions|> or <|nospeech|>
    multilingual: bool = False
    languages: dict[str, int] = field(default_factory=dict)  # "en" -> id of <|en|>
    suppress: tuple[int, ...] = ()  # never produced
    suppress_at_start: tuple[int, ...] = ()  # never produced first (blank and end)

    def renumbered(self, new_ids: Mapping[int, int]) -> Tokens:
        """The same tokens after rows were removed: `new_ids` maps every kept old id to its new id."""

        def one(old: int | None) -> int | None:
            return None if old is None else new_ids.get(old)

        kept_times = 0
        if self.timestamps is not None:
            while kept_times < self.timestamp_count and self.timestamps + kept_times in new_ids:
                kept_times += 1
        start, end = one(self.start), one(self.end)
        if start is None or end is None:
            raise ValueError("the start and end tokens cannot be pruned")
        return replace(
            self,
            start=start,
            end=end,
            no_timestamps=one(self.no_timestamps),
            timestamps=one(self.timestamps) if kept_times else None,
            timestamp_count=kept_times,
            transcribe=one(self.transcribe),
            translate=one(self.translate),
            previous=one(self.previous),
            no_speech=one(self.no_speech),
            languages={name: new_ids[i] for name, i in self.languages.items() if i in new_ids},
            suppress=tuple(new_ids[i] for i in self.suppress if i in new_ids),
            suppress_at_start=tuple(new_ids[i] for i in self.suppress_at_start if i in new_ids),
        )

    def prompt(self, language: str | None = None, task: str = "transcribe", timestamps: bool = False) -> list[int]:
        """The ids that decoding starts from, e.g. `[start, <|en|>, <|transcribe|>, <|notimestamps|>]`.

        Raises:
            SecateurError: a language that is not in the table of languages.
            ValueError: one that the vocabulary does not have, or a task it was not given.
        """
        ids = [self.start]
        if self.multilingual:
            first = "en" if "en" in self.languages else next(iter(self.languages), None)
            language = base_language(language) if language else first
            if language is None or language not in self.languages:
                known = ", ".join(sorted(self.languages)[:12]) or "none"
                raise ValueError(f"this model has no language '{language}' (it has: {known})")
            task_id = {"transcribe": self.transcribe, "translate": self.translate}.get(task)
            if task_id is None:
                raise ValueError(f"this model has no task '{task}'")
            ids += [self.languages[language], task_id]
        if self.no_timestamps is not None and not (timestamps and self.timestamps is not None):
            ids.append(self.no_timestamps)
        return ids

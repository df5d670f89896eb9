"""What a training example is: one clip, clips joined by pauses, or sound without speech; with or without a prompt.

A model that is fine-tuned on single sentences forgets what surrounds them in use: silence, noise, pauses, prompts and
timestamps (Radford et al. 2022, section 2, trained on all of them). Examples are drawn here as plain numbers, by seed
and epoch alone, so that every arm, process and resumed run gets the same ones; audio and tokens are made later.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from ..base.errors import SecateurError
from ..base.options import Settings, option

PromptKind = Literal["previous", "words", "wrong"]
KINDS = ("room", "recorded", "coloured", "hum", "clicks", "tones", "chords", "speech-shaped", "silence")
WEIGHTS = (0.2, 0.3, 0.15, 0.05, 0.05, 0.05, 0.05, 0.1, 0.05)  # of the kinds of non-speech
CLIPS = (0.2, 0.25, 0.2, 0.15, 0.1, 0.1)  # chances that 1 to 6 clips are joined; one alone lies between two pauses
PARTIAL = 0.3  # of the joined examples with timestamps: chance that the audio ends inside a further clip
SHORTEST = 0.1  # s, of non-speech
BREAKS = (0.3, 8.0)  # s, of pauses inside clips


SHARES = {"nonspeech": 0.15, "joined": 0.25, "paused": 0.15, "timestamps": 0.5, "prompts": 0.5}  # of a pretrained start


@dataclass(frozen=True)
class MixSettings(Settings):
    """What training examples are, so that a tuned model still works in use. A share of 0 turns its part off.

    Shares that are left out are decided in `TrainSettings.resolved`: on for a pretrained start, off for a new network,
    which must first find alignments.
    """

    nonspeech: float | None = option(
        None, "Make this share of every batch sound without speech, to <|nospeech|> or blanks; left out: 0.15, or 0 "
        "for a new model.", unit="share", least=0, most=0.9,
    )  # fmt: skip
    joined: float | None = option(
        None, "Join this share of the clips, 1 to 6 at a time, with pauses of room tone; left out: 0.25, or 0 for a "
        "new model.", unit="share", least=0, most=1,
    )  # fmt: skip
    timestamps: float | None = option(
        None,
        "Write timestamps at the true joints of this share of the joined examples; left out: 0.5.",
        unit="share",
        least=0,
        most=1,
    )
    paused: float | None = option(
        None,
        "Put a pause of room tone into this share of the clips, at a quiet moment of their speech; left out: 0.15, or "
        "0 for a new model.",
        unit="share",
        least=0,
        most=1,
    )
    prompts: float | None = option(
        None,
        "Put previous text or a list of words before this share of the examples; left out: 0.5, or 0 for a new model.",
        unit="share",
        least=0,
        most=1,
    )
    wrong: float = option(
        0.3, "Draw this share of the prompts from other clips, so that they are not trusted blindly.", unit="share",
        least=0, most=1, advanced=True,
    )  # fmt: skip
    pause: tuple[float, ...] = option(
        (0.2, 30.0), "Pause between joined clips for between these times.", unit="s", above=0, advanced=True
    )
    window: float = option(
        30.0,
        "Join clips up to this length, or to the model's context where that is less.",
        unit="s",
        above=0,
        advanced=True,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.pause) != 2 or self.pause[0] > self.pause[1]:
            raise SecateurError(f"pause must be two times, the shorter first, found {self.pause}")

    @property
    def on(self) -> bool:
        """Whether there is anything but plain clips."""
        return bool(self.nonspeech or self.joined or self.paused or self.prompts)

    def share(self, name: str) -> float:
        """The share `name`; 0 where it is None and was never resolved."""
        return float(getattr(self, name) or 0.0)

    def resolved(self, pretrained: bool) -> MixSettings:
        """Shares that are None, filled in: defaults for a pretrained start, 0 for a new network."""
        unset: dict[str, Any] = {
            name: share if pretrained else 0.0 for name, share in SHARES.items() if getattr(self, name) is None
        }
        return replace(self, **unset)


@dataclass(frozen=True)
class Prompt:
    """What comes before the text: the text of the clip `row`, or words of the example itself and of `row`."""

    kind: PromptKind
    row: int
    seed: int  # of what is drawn from the texts


@dataclass(frozen=True)
class Break:
    """A pause of `seconds` inside the clip at `position` of an example, at the quietest moment between two shares of
    its speech."""

    position: int
    seconds: float
    first: float
    last: float


@dataclass(frozen=True)
class Example:
    """Clips of the bank by number, in order, with `pauses` (s) before each of them and after the last (none: ()).

    Without clips it is `sound` of a kind in `KINDS`, `seconds` long. With `cut_after` (s) the audio ends so long after
    the last clip began, and only that clip's start is a target.
    """

    clips: tuple[int, ...]
    pauses: tuple[float, ...] = ()
    timed: bool = False
    cut_after: float | None = None
    prompt: Prompt | None = None
    sound: str = ""
    seconds: float = 0.0
    breaks: tuple[Break, ...] = ()

    @property
    def complete(self) -> tuple[int, ...]:
        """The clips that are there from beginning to end."""
        return self.clips if self.cut_after is None else self.clips[:-1]


def plain(rows: Sequence[int]) -> list[Example]:
    """Clips alone, as they are."""
    return [Example((row,)) for row in rows]


def examples_of(
    rows: Sequence[int], seconds: Callable[[int], float], same: Callable[[int], object], settings: MixSettings,
    window: float, timed: bool, seed: Sequence[int],
) -> list[Example]:  # fmt: skip
    """The clips `rows`, each in one example: alone or joined to others that are the `same` (of a set and language).

    `seconds` are the longest that each can become, `window` the longest example; `timed` says whether the model has
    timestamp tokens. The seed decides everything.
    """
    random = np.random.default_rng(seed)
    order = random.permutation(len(rows)).tolist()
    count = round(settings.share("joined") * len(rows))
    single = sorted(order[count:])
    singles = [rows[i] for i in single]
    kinds: dict[object, list[int]] = {}
    for i in order[:count]:
        kinds.setdefault(same(rows[i]), []).append(rows[i])
    examples: list[Example] = []
    for group in kinds.values():
        examples += _join(group, seconds, settings, window, timed, random)
    chance = settings.share("timestamps") * settings.share("joined") if timed else 0.0
    examples += [Example((row,), timed=bool(random.random() < chance)) for row in singles]
    if settings.share("paused"):  # drawn apart: all else is as without
        apart = np.random.default_rng([*seed, 1])
        examples = [_broken(e, seconds, settings, min(window, settings.window), apart) for e in examples]
    return [_prompted(e, rows, same, settings, random) for e in examples]


def _join(
    group: Sequence[int], seconds: Callable[[int], float], settings: MixSettings, window: float, timed: bool,
    random: np.random.Generator,
) -> Iterator[Example]:  # fmt: skip
    """The clips of `group` in examples of 1 to 6, as many as fit the window."""
    window = min(window, settings.window)
    shortest = settings.pause[0]
    at = 0
    while at < len(group):
        count = 1 + int(random.choice(len(CLIPS), p=CLIPS))
        clips, speech = [group[at]], seconds(group[at])
        if speech + 2 * shortest > window:
            yield Example((group[at],))
            at += 1
            continue
        for row in group[at + 1 : at + count]:
            if speech + seconds(row) + (len(clips) + 2) * shortest > window:
                break
            clips.append(row)
            speech += seconds(row)
        at += len(clips)
        with_times = timed and bool(random.random() < settings.share("timestamps"))
        pauses = _pauses(len(clips), window - speech, settings, random)
        cut_after = None
        room = window - speech - sum(pauses)
        if with_times and at < len(group) and random.random() < PARTIAL:
            cut_after = min(room, 0.7 * seconds(group[at])) * float(random.uniform(0.3, 1.0))
            cut_after = cut_after if cut_after > 0.3 else None
            clips += [group[at]] if cut_after else []
            pauses += [0.0] if cut_after else []
        yield Example(tuple(clips), tuple(pauses), with_times, cut_after)


def _pauses(clips: int, room: float, settings: MixSettings, random: np.random.Generator) -> list[float]:
    """Seconds before each clip and after the last, together at most `room`; mostly short, sometimes very long."""
    shortest, longest_pause = settings.pause
    middle = min(max(3.0, shortest), longest_pause)
    drawn = [
        float(np.exp(random.uniform(*np.log([shortest, middle] if random.random() < 0.7 else [middle, longest_pause]))))
        for _ in range(clips + 1)
    ]
    if clips > 1:  # most recordings begin with speech
        drawn[0] = 0.0 if random.random() < 0.5 else drawn[0]
        drawn[-1] = 0.0 if random.random() < 0.5 else drawn[-1]
    scale = min(1.0, room / max(sum(drawn), 1e-9))
    return [pause * scale for pause in drawn]


def _broken(
    example: Example, seconds: Callable[[int], float], settings: MixSettings, window: float, random: np.random.Generator
) -> Example:
    """`example` with pauses inside some of its clips, as far as they fit into `window` (s)."""
    room = window - sum(map(seconds, example.complete)) - sum(example.pauses) - (example.cut_after or 0.0)
    breaks = []
    for position in range(len(example.complete)):
        if random.random() >= settings.share("paused") or room < BREAKS[0]:
            continue
        pause = float(np.exp(random.uniform(*np.log([BREAKS[0], min(BREAKS[1], room)]))))
        first = float(random.uniform(0.1, 0.6))
        breaks.append(Break(position, pause, first, first + float(random.uniform(0.1, 0.4))))
        room -= pause
    return replace(example, breaks=tuple(breaks))


def _prompted(
    example: Example,
    rows: Sequence[int],
    same: Callable[[int], object],
    settings: MixSettings,
    random: np.random.Generator,
) -> Example:
    """`example` with a prompt, or as it is."""
    if random.random() >= settings.share("prompts") or not rows:
        return example
    kind: PromptKind = "previous" if random.random() < 0.5 else "words"
    wrong = bool(random.random() < settings.wrong)
    seed = int(random.integers(2**31))
    other = int(rows[int(random.integers(len(rows)))])
    if kind == "previous" and not wrong and example.clips:
        # The neighbour in the manifest is often the same speaker's sentence before.
        before = example.clips[0] - 1
        other = before if before >= 0 and same(before) == same(example.clips[0]) else other
    if kind == "words" and (wrong or not example.clips):
        kind = "wrong"
    return replace(example, prompt=Prompt(kind, other, seed))


def nonspeech_of(
    speech: int, longest: float, rows: Sequence[int], settings: MixSettings, recorded: bool, seed: Sequence[int]
) -> list[Example]:
    """The examples without speech that stand in one batch beside `speech` others, of which the longest has `longest` s.

    On the average they are the share `settings.nonspeech` of the batch; `recorded` says whether there are recordings.
    """
    random = np.random.default_rng(seed)
    share = settings.share("nonspeech")
    expected = speech * share / (1 - share)
    count = int(expected) + int(random.random() < expected - int(expected))
    weights = np.array(WEIGHTS)
    if not recorded:
        weights[KINDS.index("recorded")] = 0.0
    examples = []
    for _ in range(count):
        kind = KINDS[int(random.choice(len(KINDS), p=weights / weights.sum()))]
        low, high = np.log(SHORTEST), np.log(max(longest, 2 * SHORTEST))
        # As evenly as the lengths of speech are, so that length says nothing; sometimes very short.
        length = (
            float(np.exp(random.uniform(low, high)))
            if random.random() < 0.3
            else float(random.uniform(0.5, 1.0) * longest)
        )
        example = Example((), sound=kind, seconds=length)
        examples.append(_prompted(example, rows, lambda row: None, settings, random))
    return examples

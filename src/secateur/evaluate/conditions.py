"""Conditions of real use, built from any set of clips: pauses, joins, prompts, previous text, no speech, timestamps.

An error rate of single sentences hides what a model does where nobody speaks, in long recordings and after a prompt.
Every condition is made in memory from the clips and a seed, so that any two systems meet the same; it is decoded as
`transcribe` decodes, gates included. What clips and a model cannot give is known before anything is decoded.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np

from ..audio.tone import Samples, edges, quiet_middle, room_tone
from ..base.errors import SecateurError, nearest, several
from ..data.manifest import Utterance
from ..text.languages import base_language, by_characters
from .real_use_table import TIMESTAMPS

ALL = (
    "clean", "pause-0.5", "pause-2", "pause-6", "pause-10", "joined-30", "joined-120", "joined-300", "joined-1200",
    "previous", "prompt-neutral", "prompt-words", "prompt-wrong", "timestamps", "nonspeech",
)  # fmt: skip
KINDS = ("clean", "pause", "joined", "previous", "prompt", "timestamps", "nonspeech")
PROMPTS = ("neutral", "words", "wrong")
NEUTRAL = {
    "en": "This is a recording of someone who speaks.", "zh": "这是一段录音。", "de": "Dies ist eine Aufnahme.",
    "fr": "Ceci est un enregistrement.", "es": "Esta es una grabación.", "it": "Questa è una registrazione.",
}  # fmt: skip
BETWEEN = 0.5  # s of room tone between joined clips
PREVIOUS, PREVIOUS_LEAST = 120.0, 45.0  # s of recordings whose windows follow their text
LONGEST = 7200.0  # s of a pause or a joined recording: more is a slip, or does not fit in memory
TIMED = (2, 4)  # clips in a recording whose joints are asked for
TIMED_SECONDS = 27.0  # at most
TIMED_PAUSES = (0.4, 4.0)  # s between them
MAX_GENERATED = 60  # at most so many recordings without speech are made where none are given
TOO_FEW = "the clips are too few for it"


@dataclass(frozen=True)
class Case:
    """One recording: `utterance` has its id, reference, speaker and language; `of` are the clips that it is made of."""

    utterance: Utterance
    samples: Samples
    of: tuple[str, ...]
    words: tuple[str, ...] = ()  # of the prompt
    joints: tuple[tuple[float, float], ...] = ()  # s, where each clip's speech begins and ends
    previous: bool = False  # each window is prompted with the text before it
    timestamps: bool = False


@dataclass
class ClipSamples:
    """Clips with their samples at `rate` Hz, read once."""

    clips: Sequence[Utterance]
    read: Callable[[Utterance], Samples]
    rate: int
    seed: int = 0
    nonspeech: Sequence[Utterance] = ()
    _samples: dict[str, Samples] = field(default_factory=dict)

    def samples(self, clip: Utterance) -> Samples:
        """The samples of `clip`, read on the first call."""
        if clip.id not in self._samples:
            self._samples[clip.id] = self.read(clip)
        return self._samples[clip.id]

    def random(self, name: str) -> np.random.Generator:
        """Draws for one condition."""
        return np.random.default_rng([self.seed, *name.encode()])


def chosen(names: Sequence[str]) -> list[str]:
    """The conditions that `names` mean: single ones, whole kinds ("pause"), or all.

    Raises:
        SecateurError: a name that means none (with the nearest).
    """
    selected: list[str] = []
    for name in several("chosen", names):
        kind, _, value = name.partition("-")
        if name in ("all", *KINDS):
            selected += [one for one in ALL if name in ("all", one.partition("-")[0])]
        elif (kind in ("pause", "joined") and _seconds(value)) or (kind == "prompt" and value in PROMPTS):
            selected.append(name)
        else:
            known = list(dict.fromkeys([*KINDS, *ALL]))
            if name == "none":
                raise SecateurError("'none' stands alone: leave out the other conditions, or leave out 'none'")
            raise SecateurError(f"no condition '{name}'{nearest(name, known)}; known: all, {', '.join(known)}")
    return list(dict.fromkeys(["clean", *selected]))


def in_order(name: str) -> tuple[int, float, str]:
    """What conditions are sorted by: the kind, then how much of it."""
    kind, _, value = name.partition("-")
    return KINDS.index(kind) if kind in KINDS else len(KINDS), float(value) if _seconds(value) else 0.0, name


def build(name: str, source: ClipSamples) -> list[Case]:
    """The recordings of one condition; none where the clips are too few for it."""
    kind, _, value = name.partition("-")
    if kind == "clean":
        return [Case(u, source.samples(u), (u.id,)) for u in source.clips]
    if kind == "pause":
        return [_paused(u, source, float(value), source.random(name)) for u in source.clips]
    if kind == "joined":
        return _joined(source, float(value), name)
    if kind == "previous":
        return [replace(one, previous=True) for one in _joined(source, PREVIOUS, name, PREVIOUS_LEAST)]
    if kind == "prompt":
        return [
            Case(u, source.samples(u), (u.id,), words=_prompt(value, i, source, source.random(f"{name}{i}")))
            for i, u in enumerate(source.clips)
        ]
    if kind == "timestamps":
        return _timed(source, source.random(name))
    return _nonspeech(source)


def _seconds(text: str) -> bool:
    try:
        return 0 < float(text) <= LONGEST
    except ValueError:
        return False


def _paused(clip: Utterance, source: ClipSamples, seconds: float, random: np.random.Generator) -> Case:
    """A clip with a pause of its room's tone at the quietest moment of its middle."""
    samples, size = source.samples(clip), round(seconds * source.rate)
    middle = quiet_middle(samples, source.rate)
    paused = np.concatenate([samples[:middle], room_tone(samples, size, source.rate, random), samples[middle:]])
    return Case(replace(clip, duration=clip.duration + seconds), paused, (clip.id,))


def join(
    clips: Sequence[Utterance], source: ClipSamples, pauses: Sequence[float], name: str, random: np.random.Generator
) -> Case:
    """Clips one after the other, `pauses` (s) of room tone before each."""
    parts: list[Samples] = []
    joints: list[tuple[float, float]] = []
    at = 0
    for clip, pause in zip(clips, pauses, strict=True):
        samples = source.samples(clip)
        tone = room_tone(samples, round(pause * source.rate), source.rate, random)
        start, end = edges(samples, source.rate)
        at += len(tone)
        joints.append(((at + start) / source.rate, (at + end) / source.rate))
        at += len(samples)
        parts += [tone, samples]
    first = clips[0]
    space = "" if by_characters(first.language) else " "
    utterance = replace(
        first,
        id=f"{name}:{first.id}+{len(clips) - 1}",
        text=space.join(c.text.strip() for c in clips).strip(),
        duration=at / source.rate,
        speaker=first.speaker if len({c.speaker for c in clips}) == 1 else "",
        extras={},
    )
    return Case(utterance, np.concatenate(parts), tuple(c.id for c in clips), joints=tuple(joints))


def joined_groups(clips: Sequence[Utterance], seconds: float, least: float | None = None) -> list[list[Utterance]]:
    """The clips in their order, in groups as near to `seconds` as they fit; a rest below `least` is left out."""
    groups: list[list[Utterance]] = []
    group, total = list[Utterance](), 0.0
    least = 0.6 * seconds if least is None else least
    for clip in clips:
        other = bool(group) and base_language(clip.language) != base_language(group[0].language)
        if group and (other or total + BETWEEN + clip.duration > seconds):
            if total >= least:
                groups.append(group)
            group, total = [], 0.0
        group.append(clip)
        total += clip.duration + (BETWEEN if len(group) > 1 else 0.0)
    return [*groups, group] if group and total >= least else groups


def _joined(source: ClipSamples, seconds: float, name: str, least: float | None = None) -> list[Case]:
    """Recordings of several clips: see `joined_groups`."""
    return [
        join(group, source, [0.0, *[BETWEEN] * (len(group) - 1)], name, source.random(f"{name}{number}"))
        for number, group in enumerate(joined_groups(source.clips, seconds, least))
    ]


def _timed(source: ClipSamples, random: np.random.Generator) -> list[Case]:
    """Two to four clips with pauses of 0.4 to 4 s between them, in one window, whose joints are known."""
    cases, at = [], 0
    while at < len(source.clips):
        count = int(random.integers(TIMED[0], TIMED[1] + 1))
        group, pauses, total = [source.clips[at]], [0.0], source.clips[at].duration
        for clip in source.clips[at + 1 : at + count]:
            pause = float(random.uniform(*TIMED_PAUSES))
            same = base_language(clip.language) == base_language(group[0].language)
            if not same or total + pause + clip.duration > TIMED_SECONDS:
                break
            group.append(clip)
            pauses.append(pause)
            total += pause + clip.duration
        at += len(group)
        if len(group) >= TIMED[0]:
            cases.append(replace(join(group, source, pauses, "timestamps", random), timestamps=True))
    return cases


def _prompt(value: str, number: int, source: ClipSamples, random: np.random.Generator) -> tuple[str, ...]:
    """Words before one clip: a sentence that says nothing, a list with words of its own, or one with none of them."""
    clip = source.clips[number]
    language = base_language(clip.language)
    others = [source.clips[i].text for i in random.permutation(len(source.clips))[:8].tolist() if i != number]
    if value == "neutral":
        return (NEUTRAL[language],) if language in NEUTRAL else tuple(others[:1])
    own = long_words(clip.text)
    wrong = [word for text in others for word in long_words(text)[:2] if word not in clip.text]
    if value == "wrong":
        return tuple(dict.fromkeys(wrong))[:6]
    words = [*own[:2], *wrong[:4]]
    random.shuffle(words)
    return tuple(dict.fromkeys(words))


def long_words(text: str) -> list[str]:
    """The words of a text, the longest first: names and terms, mostly; without spaces, stretches of three characters.

    >>> long_words("the cat met Zbigniew")[:2]
    ['Zbigniew', 'cat']
    """
    words = [word.strip(".,!?;:\"'()。，！？") for word in text.split()]
    if len(words) < 2 and len(text) > 8:
        words = [text[i : i + 3] for i in range(2, len(text) - 3, 5)]
    return sorted(dict.fromkeys(w for w in words if len(w) > 2), key=lambda w: -len(w) if len(w) > 3 else 0)


def _nonspeech(source: ClipSamples) -> list[Case]:
    """The recordings without speech that were given; else room tone of the clips, noises and tones."""
    if source.nonspeech:
        return [Case(replace(u, text="", no_speech=True), source.samples(u), (u.id,)) for u in source.nonspeech]
    cases = []
    language = source.clips[0].language
    for number in range(min(MAX_GENERATED, max(14, 2 * len(source.clips)))):
        random = source.random(f"nonspeech{number}")
        kind = ("room", "white", "brown", "hum", "tones", "clicks", "silence")[number % 7]
        count = round(float(random.uniform(0.3, 20.0)) * source.rate)
        clip = source.clips[int(random.integers(len(source.clips)))]
        samples = (
            room_tone(source.samples(clip), count, source.rate, random)
            if kind == "room"
            else generated_sound(kind, count, source.rate, random)
        )
        name = f"{kind}-{number}"
        utterance = Utterance(
            name, clip.audio, count / source.rate, language=language, extras={"kind": kind}, no_speech=True
        )
        cases.append(Case(utterance, samples, (name,)))
    return cases


def generated_sound(kind: str, count: int, rate: int, random: np.random.Generator) -> Samples:
    """A sound (count,) without speech at a level drawn from -60 to -15 dBFS."""
    time = np.arange(count) / rate
    if kind == "silence":
        return np.zeros(count, np.float32)
    sound = random.standard_normal(count)
    if kind == "brown":
        spectrum = np.fft.rfft(sound)
        sound = np.fft.irfft(spectrum / np.maximum(np.fft.rfftfreq(count, 1 / rate), 30.0), count)
    elif kind == "hum":
        mains = float(random.choice([50.0, 60.0]))
        sound = 0.05 * sound + sum(np.sin(2 * np.pi * mains * k * time) / k for k in range(1, 7))
    elif kind == "tones":
        hertz = 220.0 * 2 ** (random.integers(0, 36, int(count / rate * 3) + 1) / 12)
        sound = np.sin(2 * np.pi * np.cumsum(hertz[(time * 3).astype(int)]) / rate)
    elif kind == "clicks":
        sound = np.where(random.random(count) < 3 / rate, 30.0, 0.01) * sound
    level = 10 ** (float(random.uniform(-60, -15)) / 20)
    scaled = sound / max(float(np.sqrt(np.mean(np.square(sound)))), 1e-9) * level
    return np.clip(scaled, -1, 1).astype(np.float32)


def unable(config: object, name: str) -> str:
    """Why a model with this config cannot take the condition `name`; empty where it can."""
    tokens = getattr(config, "tokens", None)
    if name.partition("-")[0] in ("prompt", "previous") and getattr(tokens, "previous", None) is None:
        return "the model takes no prompt"
    if name == TIMESTAMPS and getattr(tokens, "timestamps", None) is None:
        return "the model has no timestamp tokens"
    return ""


def too_few(name: str, clips: Sequence[Utterance]) -> bool:
    """Whether no recording of the condition `name` can be made of `clips`, by their lengths alone."""
    kind, _, value = name.partition("-")
    if kind == "joined":
        return not joined_groups(clips, float(value))
    if kind == "previous":
        return not joined_groups(clips, PREVIOUS, PREVIOUS_LEAST)
    if kind == TIMESTAMPS:
        return not any(
            base_language(a.language) == base_language(b.language)
            and a.duration + TIMED_PAUSES[0] + b.duration <= TIMED_SECONDS
            for a, b in pairwise(clips)
        )
    return not clips


def spread(clips: Sequence[Utterance], count: int) -> list[Utterance]:
    """`count` clips, evenly over the set; all of a smaller one."""
    if len(clips) <= count:
        return list(clips)
    return [clips[i] for i in np.linspace(0, len(clips) - 1, count).round().astype(int)]


def check_possible(given: Sequence[str], clips: Sequence[Utterance], config: object) -> None:
    """Refuse names of conditions (single ones or kinds) of which `clips` or the model can give none.

    Of a kind, or of all, what cannot be given is left out when it is measured.

    Raises:
        SecateurError: the first such name and why, or no clip with words.
    """
    spoken = [u for u in clips if u.text.strip()]
    if given and not spoken:
        raise SecateurError("conditions are made from clips with words, and here is none")
    for name in given:
        why = ""
        for one in chosen([name]):
            if one == "clean" and name not in ("clean", "all"):
                continue
            why = unable(config, one) or (TOO_FEW if too_few(one, spoken) else "")
            if not why:
                break
        if why:
            raise SecateurError(f"the condition '{name}' cannot be measured here: {why}; leave it out")

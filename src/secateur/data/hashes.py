"""Ids or sounds seen so far as a table of 64-bit hashes, to detect repetitions among ten million lines."""

from __future__ import annotations

from array import array

FULL = 0.75  # share of slots in use at which the table doubles
_BITS = (1 << 64) - 1


class Hashes:
    """Open addressing with linear probing: 11 to 21 bytes a key, where a `set` of strings takes 120.

    With `numbered` every key has the number of who brought it first (4 more bytes a slot). Two different keys of ten
    million share a hash with a chance of 3 in a million; who must be certain looks again.
    """

    def __init__(self, numbered: bool = False) -> None:
        self._slots = array("Q", bytes(8 << 10))
        self._numbers = array("I", bytes(4 << 10)) if numbered else None
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __contains__(self, key: object) -> bool:
        return self._slots[self._slot_of(hash(key) & _BITS or 1)] != 0

    def add(self, key: object) -> bool:
        """Add `key`; whether it was new."""
        value = hash(key) & _BITS or 1  # 0 is an empty slot
        at = self._slot_of(value)
        if self._slots[at]:
            return False
        self._fill(at, value, 0)
        return True

    def first(self, key: object, number: int) -> int:
        """The number that came with `key` first: `number` itself when it is new."""
        assert self._numbers is not None
        value = hash(key) & _BITS or 1
        at = self._slot_of(value)
        if self._slots[at]:
            return self._numbers[at]
        self._fill(at, value, number)
        return number

    def _slot_of(self, value: int) -> int:
        """The slot of `value`, or the empty one where it belongs."""
        slots = self._slots
        mask = len(slots) - 1
        at = value & mask
        while (stored := slots[at]) and stored != value:
            at = (at + 1) & mask
        return at

    def _fill(self, at: int, value: int, number: int) -> None:
        self._slots[at] = value
        if self._numbers is not None:
            self._numbers[at] = number
        self._count += 1
        if self._count > FULL * len(self._slots):
            self._double()

    def _double(self) -> None:
        slots, numbers = self._slots, self._numbers
        self._slots = array("Q", [0]) * (2 * len(slots))
        if numbers is not None:
            self._numbers = array("I", [0]) * (2 * len(slots))
        for old, value in enumerate(slots):
            if value:
                at = self._slot_of(value)
                self._slots[at] = value
                if numbers is not None and self._numbers is not None:
                    self._numbers[at] = numbers[old]

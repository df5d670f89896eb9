"""Jobs killed at random moments, again and again, until they are done: what was left behind, and what came out."""

from __future__ import annotations

import random
import shutil
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from jobs import Zygote, is_done, outcome, torn, whole_export, words


class Campaign:
    """Kills of one kind of job. A kill is survived when nothing torn is left behind, and the run that goes on from it
    (perhaps killed again) ends with what an undisturbed one ends with.
    """

    def __init__(
        self, job: str, place: Path, scratch: Path, forks: Zygote, seed: int, chains: tuple[int, ...] = (1, 1, 2, 3)
    ) -> None:
        self.chains = chains  # how often one run may be killed, drawn from these
        self.job, self.place, self.scratch, self.forks = job, place, scratch, forks
        self.random = random.Random(f"{job} {seed}")
        self.log = scratch / "log.txt"
        self.failures: list[str] = []
        self.moments: Counter[str] = Counter()
        scratch.mkdir(parents=True)
        out = self._fresh("reference")
        found = forks.run(words(job, place, out), out, self.log)
        assert found["code"] == 0, self.log.read_text()[-2000:]
        self.seconds, self.events = found["seconds"], found["events"]
        self.wanted = outcome(out)
        assert torn(out) == []

    def _fresh(self, name: str) -> Path:
        """A place for a run: empty, or with an older export in it."""
        folder = self.scratch / name
        folder.mkdir()
        if self.job == "export" and name != "reference":
            older = self.scratch / "older" / "out"
            if not older.exists():
                older.parent.mkdir()
                assert self.forks.run(words("export", self.place, older, "other"), older, self.log)["code"] == 0
            shutil.copytree(older, folder / "out")
        return folder / "out"

    def run(self, kills: int, after_each: Callable[[], object] = lambda: None) -> dict[str, Any]:
        """Kill so often; the counts, and what went wrong."""
        done = survived = chains = 0
        while done < kills:
            out = self._fresh(f"chain {chains}")
            before = outcome(out) if self.job == "export" else {}
            chain, bad = 0, len(self.failures)
            wanted = min(self.random.choice(self.chains), kills - done)
            while chain < wanted and not (is_done(self.job, out) and self.job != "export"):
                found = self.forks.run(words(self.job, self.place, out), out, self.log, **self._moment())
                if found["code"] != -9:
                    if found["code"] != 0:
                        self.failures.append(f"code {found['code']} instead of the end")
                    break  # it was done before its time came
                chain += 1
                self._look(out, before)
                after_each()
            if chain:
                self._finish(out)
                done += chain
                survived += chain if len(self.failures) == bad else 0
                chains += 1
            shutil.rmtree(out.parent)
        return {"job": self.job, "kills": done, "survived": survived, "runs": chains, "seconds": round(self.seconds, 1),
                "changes": self.events, "moments": dict(self.moments), "failures": self.failures[:20]}  # fmt: skip

    def _moment(self) -> dict[str, Any]:
        """When to kill: at any time, or just before any change to a file."""
        if self.random.random() < 0.5:
            self.moments["before a change to a file"] += 1
            return {"event": self.random.randint(1, self.events)}
        self.moments["at a time"] += 1
        alone = self.job == "study" and self.random.random() < 0.5
        return {"after": self.random.uniform(0.0, self.seconds), "alone": alone}

    def _look(self, out: Path, before: Mapping[str, Any]) -> None:
        """What a kill left."""
        self.failures += torn(out)
        if self.job == "export":
            whole_export(out)
            if outcome(out) not in (before, self.wanted):
                self.failures.append("the export is neither the old one nor the new one")

    def _finish(self, out: Path) -> None:
        """Let the run come to its end, undisturbed."""
        refuses = self.job in ("train", "prune") and is_done(self.job, out)  # "a finished run is here"
        ended = self.forks.run(words(self.job, self.place, out), out, self.log)
        if ended["code"] != (2 if refuses else 0):
            self.failures.append(f"could not go on: {self.log.read_text()[-300:]}")
            return
        self.failures += torn(out)
        found = outcome(out)
        for name in sorted({*found, *self.wanted}):
            if found.get(name) != self.wanted.get(name):
                self.failures.append(f"{name} is not what an undisturbed run writes")
        # A run clears its own folder; a study and an export may have company in theirs, and leave small ones alone.
        if self.job in ("train", "prune") and (left := list(out.rglob(".*.tmp"))):
            self.failures.append(f"temporaries stay for ever: {left[0].name}")

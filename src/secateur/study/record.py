"""`run.json`: the job that a folder holds, its settings, data, model and versions; only the same goes on in it."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import MISSING, fields, is_dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from ..base.errors import SecateurError
from ..base.files import Json, clear_temporaries, read_json, write_json
from ..base.option_fields import default_of
from ..base.options import to_dict
from ..base.progress import say

NAME = "run.json"
# Settings that say where and how fast a job runs, not what it computes.
ENVIRONMENT = {"out", "device", "check", "json", "threads", "engine", "workers", "parallel", "devices", "until"}
TRACES = ("summary.json", "metrics.jsonl", "config.json", "results", "map.json", "pieces", "state.safetensors")
VERSIONS = ("torch", "onnxruntime", "numpy", "onnx", "tokenizers")
DEFAULTS = "defaults"  # of a record in memory only: what an older version's record has no word of was at its default
MAX_HASHED = 64 << 20  # bytes of a file that are hashed; of a longer one its size and both ends are


def fingerprint(path: Path) -> str:
    """A fingerprint of a file's content: SHA-256, of a large file of its size and both ends.

    Raises:
        SecateurError: no such file.
    """
    if not path.is_file():
        raise SecateurError(f"{path}: no such file")
    digest, size = hashlib.sha256(), path.stat().st_size
    with path.open("rb") as file:
        if size <= MAX_HASHED:
            while block := file.read(1 << 20):
                digest.update(block)
        else:
            digest.update(str(size).encode() + file.read(MAX_HASHED // 2))
            file.seek(-MAX_HASHED // 2, 2)
            digest.update(file.read())
    return digest.hexdigest()


def fingerprints(paths: Iterable[Path]) -> dict[str, str]:
    """The fingerprint of every file; of a pattern of archives, of all that it names."""
    from ..data.shards import shard_paths

    hashes: dict[str, str] = {}
    for path in paths:
        for one in shard_paths(path) if str(path).endswith(".tar") else [path]:
            hashes[str(one)] = fingerprint(Path(one))
    return hashes


def model_fingerprint(name: str) -> str:
    """A fingerprint of a model: its files' names and sizes and its config; empty where there is no such folder."""
    folder = Path(name)
    if folder.is_file():
        return fingerprint(folder)
    if not folder.is_dir():
        return ""
    digest = hashlib.sha256()
    for path in sorted(p for p in folder.iterdir() if p.is_file()):
        digest.update(f"{path.name} {path.stat().st_size}\n".encode())
        if path.suffix == ".json" and path.stat().st_size < 1 << 20:
            digest.update(path.read_bytes())
    return digest.hexdigest()


def versions() -> dict[str, str]:
    """Versions of this package, Python and what computes."""
    from ..base.version import __version__

    installed = {"secateur": __version__, "python": platform.python_version()}
    for name in VERSIONS:
        try:
            installed[name] = version(name)
        except PackageNotFoundError:
            continue
    return installed


def record_of(job: str, settings: object, data: Iterable[Path], model: str) -> Json:
    """The record of a job.

    Raises:
        SecateurError: a data file is not there.
    """
    return {
        "job": job,
        "settings": {k: v for k, v in to_dict(settings).items() if k not in ENVIRONMENT},
        DEFAULTS: defaults_of(settings),
        "data": fingerprints(data),
        "model": model_fingerprint(model),
        "versions": versions(),
    }


def defaults_of(settings: Any) -> Json:
    """What every setting is when nobody sets it, in the shape of `to_dict(settings)`."""
    if isinstance(settings, Mapping):
        return {
            key: defaults_of(value)
            for key, value in settings.items()
            if isinstance(value, Mapping) or is_dataclass(value)
        }
    defaults: Json = {}
    for one in fields(settings):
        value, default = getattr(settings, one.name), default_of(one)
        if is_dataclass(value):
            defaults[one.name] = defaults_of(value)
        elif default is not MISSING:
            defaults[one.name] = to_dict(default)
    return defaults


def begin(job: str, settings: object, data: Iterable[Path], model: str, out: Path) -> Json:
    """Write the record of a job in `out`, or check that the same job is on record there; returns the record.

    Raises:
        SecateurError: the folder holds another run, or one without a record; what differs is named.
    """
    goes_on = unfinished(out)
    record = begin_with(record_of(job, settings, data, model), out)
    if goes_on:
        clear_temporaries(out)
        say(f"{out}: this very run began here and did not end: it goes on")
    for half in out.glob(f".{NAME}.*.tmp"):  # of one that was killed while it wrote its record
        half.unlink()
    return record


def begin_with(record: Json, out: Path) -> Json:
    """The same with a record that is made.

    Raises:
        SecateurError: see `begin`.
    """
    path = out / NAME
    if path.exists():
        old = dict(read_json(path))
        refuse_other(old, record, out)
        return old
    trace = next((name for name in TRACES if (out / name).exists()), None)
    if trace is not None:
        raise SecateurError(
            f"{out}: {trace} of a run without a record ({NAME}) is here; name another --out, or delete it"
        )
    record = {key: value for key, value in record.items() if key != DEFAULTS}
    write_json(path, record)
    return record


def refuse_other(old: Mapping[str, object], new: Mapping[str, object], out: Path) -> None:
    """Refuse to go on with the job `new` where `old` is on record.

    Raises:
        SecateurError: what differs, in one line.
    """
    odd = list(differences(old, new))
    if odd:
        shown = "; ".join(odd[:4]) + (f"; {len(odd) - 4} more" if len(odd) > 4 else "")
        raise SecateurError(f"{out}: another run is here ({shown}); name another --out, or delete it")


def finish(out: Path, record: Mapping[str, object]) -> None:
    """Record that the job is done."""
    write_json(out / NAME, {**record, "finished": True})


def unfinished(out: Path) -> bool:
    """Whether a job in `out` began and did not end: the same one may go on there."""
    path = out / NAME
    return path.is_file() and not read_json(path).get("finished")


def complete(out: Path) -> None:
    """Note that the job in `out` is done, where it was killed after its last result and before it noted that itself (or
    while it did: what is half written goes)."""
    clear_temporaries(out)
    path = out / NAME
    if path.exists() and not (record := dict(read_json(path))).get("finished"):
        finish(out, record)


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    """What two records differ in, each in a few words: `training.epochs was 9, is 3`. Versions may differ.

    A setting that the older record has no word of is new since: it differs where it is not at its default.
    """
    if old.get("job") != new["job"]:
        yield f"job was {old.get('job')}, is {new['job']}"
        return
    yield from changed(old.get("settings", {}), new["settings"], new.get(DEFAULTS, {}), "")
    for path in [p for p in new["data"] if p in old.get("data", {}) and old["data"][p] != new["data"][p]]:
        yield f"{path} has another content"
    if old.get("model", "") != new["model"]:
        yield "the model's files are others"


def changed(old: object, new: object, defaults: object, where: str) -> Iterator[str]:
    """What settings, as `to_dict` gives them, differ in; what only `new` has differs where it is not at its default."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        known = defaults if isinstance(defaults, Mapping) else {}
        for key in dict.fromkeys([*old, *new]):
            if key in old or key not in known or new[key] != known[key]:
                yield from changed(old.get(key), new.get(key), known.get(key), f"{where}.{key}" if where else key)
    elif old != new:
        yield f"{where} was {_short(old)}, is {_short(new)}"


def _short(value: object) -> str:
    text = ",".join(map(str, value)) if isinstance(value, list) else str(value)
    return (text if len(text) <= 60 else f"{text[:57]}...") or "empty"

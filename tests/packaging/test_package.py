"""The wheel, as `python -m build` makes it, in an environment that has the base dependencies and nothing else."""

from __future__ import annotations

import re
import subprocess
import sys
import venv
import zipfile
from collections.abc import Iterator
from importlib.metadata import Distribution, distribution
from pathlib import Path

import pytest

pytest.importorskip("build")
ROOT = Path(__file__).resolve().parent.parent.parent
MOST = 45e6  # bytes: 36 MB of it are the bundled model


def run(*words: object, cwd: Path) -> str:
    done = subprocess.run([str(w) for w in words], capture_output=True, text=True, cwd=cwd)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from the files that git knows, without a network."""
    if not (ROOT / ".git").exists():
        pytest.skip("no checkout: what belongs to the package is not known")
    source = tmp_path_factory.mktemp("source")
    names = run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", "src", "*.md", "LICENSE",
                "pyproject.toml", "MANIFEST.in", cwd=ROOT).split("\0")  # fmt: skip
    for name in filter(None, names):
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", source / "dist", source, cwd=source)
    return next((source / "dist").glob("*.whl"))


def closure(names: list[str]) -> Iterator[Distribution]:
    """The distributions `names` and all that they need by themselves, as installed here."""
    from packaging.requirements import Requirement

    done: set[str] = set()
    while names:
        name = re.sub(r"[-_.]+", "-", names.pop()).lower()
        if name in done:
            continue
        done.add(name)
        found = distribution(name)
        yield found
        needs = [Requirement(text) for text in found.requires or []]
        names += [need.name for need in needs if need.marker is None or need.marker.evaluate({"extra": ""})]


@pytest.fixture(scope="module")
def base(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of a fresh environment: the wheel, and links to the base dependencies of this one."""
    folder = tmp_path_factory.mktemp("base")
    venv.create(folder, with_pip=False)
    python = folder / "bin" / "python"
    run(sys.executable, "-m", "pip", "--python", python, "install", "-q", "--no-deps", "--no-index", wheel, cwd=folder)
    own = next(folder.glob("lib/python*/site-packages"))
    requires = run(
        python, "-c", "from importlib.metadata import requires; print(*requires('secateur-asr'), sep='\\n')", cwd=folder
    )
    names = [re.split(r"[^\w.-]", line)[0] for line in requires.splitlines() if "extra ==" not in line]
    assert sorted(names) == ["numpy", "onnxruntime", "soundfile", "soxr", "tokenizers"]
    for found in closure(names):
        for top in {path.parts[0] for path in found.files or [] if path.parts[0] != ".."}:
            place = Path(str(found.locate_file(top)))
            if place.exists() and not (own / top).exists():
                (own / top).symlink_to(place)
    return python


def test_the_wheel_has_all_data_and_a_bounded_size(wheel: Path) -> None:
    inside = set(zipfile.ZipFile(wheel).namelist())
    package = ROOT / "src" / "secateur"
    tracked = run("git", "ls-files", "-z", "--", "src/secateur", cwd=ROOT).split("\0")
    missing = {name.removeprefix("src/") for name in tracked if name} - inside
    assert not missing
    assert "secateur/py.typed" in inside and (package / "py.typed").exists()
    assert wheel.stat().st_size < MOST
    metadata = zipfile.ZipFile(wheel).read(next(n for n in inside if n.endswith(".dist-info/METADATA"))).decode()
    for minor in (11, 12, 13):
        assert f"Classifier: Programming Language :: Python :: 3.{minor}" in metadata
    assert "Classifier: Typing :: Typed" in metadata


def test_a_base_install_hears_the_right_words(base: Path, tmp_path: Path) -> None:
    said = run(base, ROOT / "tools" / "check_words.py", ROOT.parent / "shared" / "data", cwd=tmp_path)
    assert said.strip().endswith("right") and "turn the heating up in the bathroom" in said.lower()


def test_every_extra_asks_for_itself(base: Path, tmp_path: Path) -> None:
    said = run(base, ROOT / "tools" / "check_extras.py", ROOT / "pyproject.toml", cwd=tmp_path)
    assert len(said.splitlines()) >= 12 and "pip install 'secateur-asr[ray]'" in said

"""The image's recipe, replayed without a container engine: what is copied exists, and builds a whole package.

The recipe's build steps run here for real against a copy of exactly the files the recipe may see.
Only the download of the locked requirements is left out: `make test` has just done the same.
"""

import fnmatch
import json
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Final

import pytest

from tests.architecture.page import REPOSITORY

RECIPE: Final = re.sub(r"\\\n\s*", "", (REPOSITORY / "Dockerfile").read_text(encoding="utf-8"))
STEPS: Final = [
    (step.split(maxsplit=1)[0], step.split(maxsplit=1)[1])
    for step in RECIPE.splitlines()
    if step.strip() and not step.startswith("#")
]
JUNK: Final = shutil.ignore_patterns("__pycache__", "*.pyc")


def arguments_of(word: str) -> list[str]:
    """What every step of one kind is given, in order; indented lines belong to the step before."""
    return [rest for step, rest in STEPS if step == word]


def copied_from_the_folder() -> list[str]:
    """Every path the recipe copies from the repository."""
    sources: list[str] = []
    for rest in arguments_of("COPY"):
        if not rest.startswith("--from"):
            sources += rest.split()[:-1]
    return sources


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The package as the recipe builds it, from a copy of what the recipe copies."""
    folder = tmp_path_factory.mktemp("image")
    for source in copied_from_the_folder():
        place = REPOSITORY / source
        if place.is_dir():
            shutil.copytree(place, folder / source, ignore=JUNK)
        else:
            shutil.copy(place, folder / source)
    offline = ["--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([sys.executable, "-m", "pip", "wheel", *offline, "."], cwd=folder, check=True, timeout=100)
    (built,) = folder.glob("*.whl")
    return zipfile.ZipFile(built)


def test_everything_the_recipe_copies_exists_and_is_let_through() -> None:
    rules = (REPOSITORY / ".dockerignore").read_text(encoding="utf-8").split("\n")
    let_through = [rule[1:] for rule in rules if rule.startswith("!")]
    assert copied_from_the_folder()
    for source in copied_from_the_folder():
        assert (REPOSITORY / source).exists(), source
        assert any(fnmatch.fnmatch(source, rule) for rule in let_through), f"{source} is hidden"


def test_the_wheel_holds_every_file_of_the_package(wheel: zipfile.ZipFile) -> None:
    package = REPOSITORY / "src"
    written = {
        file.relative_to(package).as_posix()
        for file in package.rglob("*")
        if file.is_file() and "__pycache__" not in file.parts and not file.name.startswith(".")
    }
    packed = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert packed == written


def test_the_wheel_brings_the_command_and_asks_for_what_is_locked(wheel: zipfile.ZipFile) -> None:
    told = {Path(name).name: wheel.read(name).decode() for name in wheel.namelist() if ".dist-info/" in name}
    assert "ordergate=ordergate.cli.main:app" in told["entry_points.txt"].replace(" ", "")
    locked = set(re.findall(r"^([a-z0-9-]+)==", (REPOSITORY / "requirements.txt").read_text(), re.MULTILINE))
    needed = set(re.findall(r"^Requires-Dist: ([A-Za-z0-9-]+)", told["METADATA"], re.MULTILINE))
    assert needed
    assert needed <= locked


def test_the_requirements_are_installed_by_hash_before_the_code_is_copied() -> None:
    words = [f"{step} {rest}" for step, rest in STEPS]
    install = next(i for i, word in enumerate(words) if "--require-hashes -r requirements.txt" in word)
    code = next(i for i, word in enumerate(words) if word.startswith("COPY src"))
    assert install < code


def test_the_container_does_not_run_as_root() -> None:
    assert arguments_of("USER")[-1] == "10001:10001"


def test_the_container_has_no_default_environment() -> None:
    assert not any(re.search(r"\b(?:paper|live)\b", rest) for _, rest in STEPS)
    assert json.loads(arguments_of("CMD")[-1]) == ["serve", "--config", "/etc/ordergate/gateway.yaml"]


def test_the_health_question_is_valid_python_and_has_a_timeout() -> None:
    (health,) = arguments_of("HEALTHCHECK")
    command = json.loads(health.partition("CMD ")[2])
    assert command[:2] == ["python", "-c"]
    compile(command[2], "healthcheck", "exec")
    assert "timeout=" in command[2]

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
    assert arguments_of("ARG") == ["ENVIRONMENT"]
    assert not any(re.search(r"\b(?:paper|live)\b", rest) for step, rest in STEPS if step != "RUN")
    assert json.loads(arguments_of("CMD")[-1]) == ["serve", "--config", "/etc/ordergate/gateway.yaml"]


LIVE_HOST: Final = re.compile(rb"(?<!paper-)\bapi\.alpaca\.markets")
SITE: Final = "/opt/ordergate/lib/python3.11/site-packages"


def installed(wheel: zipfile.ZipFile, folder: Path, environment: str | None) -> tuple[Path, int]:
    """What the recipe leaves of the package in an image for this environment, and how its step ended."""
    site = folder / (environment or "unsaid")
    wheel.extractall(site)
    (step,) = (rest for rest in arguments_of("RUN") if rest.startswith("case"))
    assert f"{SITE}/ordergate" in step
    said = {} if environment is None else {"ENVIRONMENT": environment}
    shell = ["/bin/sh", "-c", step.replace(SITE, str(site))]
    ended = subprocess.run(shell, env=said, check=False, timeout=20, capture_output=True)
    return site, ended.returncode


def in_live(site: Path) -> str:
    """What an installation says to a login in live."""
    asks = (
        "from ordergate.brokers.alpaca.access import Bearer\n"
        "from ordergate.core.ids import Env\n"
        "from ordergate.telemetry.secret import Secret\n"
        "from ordergate.wiring import brokerages, settings\n"
        "login = settings.BrokerSettings()\n"
        "try: print(brokerages.access_of(login, Env.LIVE, Bearer(Env.LIVE, Secret('x'))).trading)\n"
        "except settings.CannotStart as fault: print(fault)\n"
        "print(brokerages.__file__)\n"
    )
    asked = [sys.executable, "-c", asks]
    told = subprocess.run(
        asked, env={"PYTHONPATH": str(site)}, check=True, timeout=60, capture_output=True, text=True
    )
    words, where = told.stdout.splitlines()
    assert Path(where).is_relative_to(site)
    return words


def test_an_image_for_paper_does_not_know_the_live_host(wheel: zipfile.ZipFile, tmp_path: Path) -> None:
    paper, ended = installed(wheel, tmp_path, "paper")
    assert ended == 0
    files = [file for file in paper.rglob("*") if file.is_file()]
    assert len(files) > 500
    assert [file for file in files if LIVE_HOST.search(file.read_bytes())] == []
    assert in_live(paper) == "this installation is for paper: it does not know the live host"


def test_an_image_for_live_knows_it_in_one_place(wheel: zipfile.ZipFile, tmp_path: Path) -> None:
    live, ended = installed(wheel, tmp_path, "live")
    assert ended == 0
    found = [file for file in live.rglob("*.py") if LIVE_HOST.search(file.read_bytes())]
    assert [file.relative_to(live).as_posix() for file in found] == ["ordergate/brokers/alpaca/live.py"]
    assert in_live(live) == "https://api.alpaca.markets"


@pytest.mark.parametrize("environment", [None, "", "Paper", "production"])
def test_an_image_that_is_for_neither_is_not_built(
    wheel: zipfile.ZipFile, tmp_path: Path, environment: str | None
) -> None:
    assert installed(wheel, tmp_path, environment)[1] == 1


def test_the_health_question_is_valid_python_and_has_a_timeout() -> None:
    (health,) = arguments_of("HEALTHCHECK")
    command = json.loads(health.partition("CMD ")[2])
    assert command[:2] == ["python", "-c"]
    compile(command[2], "healthcheck", "exec")
    assert "timeout=" in command[2]

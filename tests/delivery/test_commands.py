"""The make commands on machines that lack something: one sentence that says what to do, no traceback.

Runs the real Makefile and the real tools/environment in a folder of their own, with a stand-in for Python.
"""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest

from tests.architecture.page import REPOSITORY

PARTS: Final = ("Makefile", "pyproject.toml", "requirements.txt", "requirements-dev.txt")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """What make needs of a checkout, and no environment yet."""
    for part in PARTS:
        shutil.copy(REPOSITORY / part, tmp_path / part)
    shutil.copytree(REPOSITORY / "tools", tmp_path / "tools")
    package = tmp_path / "src" / "ordergate"
    package.mkdir(parents=True)
    shutil.copy(REPOSITORY / "src" / "ordergate" / "__init__.py", package)
    return tmp_path


def stand_in(folder: Path, script: str) -> str:
    """A program that answers like a Python of our choice."""
    program = folder / "python-stand-in"
    program.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    program.chmod(0o755)
    return str(program)


def make(checkout: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    outside = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    return subprocess.run(
        ["make", *words],
        cwd=checkout,
        env=outside | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_python_that_is_too_old_is_named_in_a_sentence(checkout: Path) -> None:
    old = stand_in(checkout, 'case "$1" in --version) echo "Python 3.9.2";; *) exit 1;; esac')
    told = make(checkout, "run", PYTHON=old)
    assert told.returncode != 0
    assert "ordergate: Python 3.11 or newer is needed, found: Python 3.9.2." in told.stderr
    assert "Traceback" not in told.stderr


def test_a_python_without_venv_says_which_package_brings_it(checkout: Path) -> None:
    bare = stand_in(checkout, 'case "$2" in *ensurepip*) exit 1;; *) exit 0;; esac')
    told = make(checkout, "run", PYTHON=bare)
    assert told.returncode != 0
    assert "apt-get install python3-venv" in told.stderr
    assert not (checkout / ".venv").exists()


def test_of_several_interpreters_one_that_is_clearly_faster_is_taken(checkout: Path) -> None:
    for name, took in (("python3", 90), ("python3.12", 80), ("python3.11", 30)):
        answers = f"*process_time*) echo {took};; venv) echo {name} >&2; exit 1;;"
        found = stand_in(checkout, f'case "$2" in {answers} esac')
        Path(found).rename(checkout / name)
    told = make(checkout, "run", PATH=f"{checkout}:{os.environ['PATH']}", PYTHON="")
    assert "python3.11\n" in told.stderr


def test_an_unreachable_package_index_is_a_sentence(checkout: Path) -> None:
    pip_fails = """printf '#!/bin/sh\\ncase "$2" in pip) exit 1;; esac\\n' > .venv/bin/python"""
    makes_venv = f"mkdir -p .venv/bin; {pip_fails}; chmod +x .venv/bin/python"
    python = stand_in(checkout, f'case "$2" in venv) {makes_venv};; esac')
    told = make(checkout, "run", PYTHON=python)
    assert told.returncode != 0
    assert "Is a package index reachable from here?" in told.stderr
    assert not (checkout / ".venv" / ".runtime").exists()


def test_the_second_start_installs_nothing(checkout: Path) -> None:
    (checkout / ".venv").mkdir()
    (checkout / ".venv" / ".runtime").touch()
    planned = make(checkout, "--dry-run", "run")
    assert planned.returncode == 0
    assert planned.stdout.split() == ["exec", ".venv/bin/ordergate", "run"]


def test_a_changed_lock_is_installed_at_the_next_start(checkout: Path) -> None:
    (checkout / ".venv").mkdir()
    stamp = checkout / ".venv" / ".runtime"
    stamp.touch()
    os.utime(stamp, (1, 1))
    assert "tools/environment runtime" in make(checkout, "--dry-run", "run").stdout


def test_the_locks_name_no_host_and_pin_every_package_by_hash() -> None:
    for name in ("requirements.txt", "requirements-dev.txt"):
        text = (REPOSITORY / name).read_text(encoding="utf-8")
        assert "://" not in text
        packages = [line for line in text.splitlines() if line and not line.startswith((" ", "#"))]
        assert packages
        assert all("==" in line and line.endswith("\\") for line in packages)
        assert text.count("\\\n    --hash=sha256:") >= len(packages)


def test_every_lock_is_compared_with_advisories_and_one_that_fails_fails_them_all(checkout: Path) -> None:
    locks = sorted(file.name for file in REPOSITORY.glob("requirements*.txt"))
    scanners = checkout / ".venv-scan"
    (scanners / "bin").mkdir(parents=True)
    shutil.copy(REPOSITORY / "requirements-scan.txt", checkout)
    audit = scanners / "bin" / "pip-audit"
    said = 'echo "$@" >> audited; case "$*" in *-dev.txt*) exit 1;; esac'
    audit.write_text(f"#!/bin/sh\n{said}\n", encoding="utf-8")
    audit.chmod(0o755)
    (scanners / ".made").touch()
    told = make(checkout, "advisories")
    audited = (checkout / "audited").read_text(encoding="utf-8").splitlines()
    assert sorted(line.rpartition(" ")[2] for line in audited) == locks
    assert all("--strict" in line and "--require-hashes" in line for line in audited)
    assert told.returncode != 0

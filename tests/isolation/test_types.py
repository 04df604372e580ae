"""Barrier 1: the environment is a type, and what belongs to the two never fits together.

mypy judges a page of joinings, right and wrong, and the product's own modules with a mistake in each.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import Final

import msgspec
import pytest

ROOT: Final = Path(__file__).parents[2]
SOURCE: Final = ROOT / "src/ordergate"
JOININGS: Final = "tests/isolation/joinings.py"
MYPY_S_MAX: Final = 240.0

_ERROR: Final = re.compile(r"(?P<file>[^:]+):(?P<line>\d+): error: .*\[(?P<kind>[a-z-]+)\]")


class Mistake(msgspec.Struct, frozen=True):
    """`before` is there once; with `after` in its place the build must fail in this file."""

    file: str
    before: str
    after: str


MISTAKES: Final = (
    Mistake("brokers/alpaca/live.py", "return Access(env=Env.LIVE,", "return Access(env=Env.PAPER,"),
    Mistake("brokers/alpaca/client.py", "self._access: Access[E] = access", "self._access: Access = access"),
    Mistake("brokers/alpaca/prices.py", "class AlpacaPrices(Generic[E])", "class AlpacaPrices"),
    Mistake("engine/wire/renamed.py", "self.env: E = broker.env", "self.env: E = Env.LIVE"),
    Mistake("engine/node.py", "served: Sequence[Served[E]],", "served: Sequence[Served],"),
    Mistake("engine/world.py", "    journal: JournalOf[E]\n", "    journal: JournalOf[Env]\n"),
    Mistake("ports/broker.py", "    env: E\n", "    env: Env\n"),
    Mistake("journal/postgres.py", "return cls(dsn, env,", "return cls(dsn, Env.PAPER,"),
    Mistake("wiring/brokerages.py", "(live(credentials), tls", "(access.paper(credentials), tls"),
    Mistake("wiring/credential_keeper.py", "        env: E,\n", "        env: Env,\n"),
    Mistake("wiring/gateway.py", "Brokerages(env, settings,", "Brokerages(Env.PAPER, settings,"),
)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the build's own run remembers, where there is any; a mistake is not to be remembered with it."""
    copy, known = tmp_path_factory.mktemp("mypy") / "cache", ROOT / ".mypy_cache"
    if known.is_dir():
        shutil.copytree(known, copy)
    return copy


def judged(cache: Path, *arguments: str) -> dict[str, dict[int, str]]:
    """The kind of the first error on every line that has one, by file."""
    command = [sys.executable, "-m", "mypy", "--cache-dir", str(cache), *arguments]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=MYPY_S_MAX, check=False)
    assert said.returncode == 1, said.stdout + said.stderr
    errors: dict[str, dict[int, str]] = defaultdict(dict)
    for line in said.stdout.splitlines():
        if found := _ERROR.match(line):
            errors[found["file"]].setdefault(int(found["line"]), found["kind"])
    return errors


@pytest.mark.timeout(MYPY_S_MAX)
def test_what_belongs_to_the_other_environment_does_not_fit_and_everything_else_does(cache: Path) -> None:
    lines = (ROOT / JOININGS).read_text(encoding="utf-8").splitlines()
    marked = {number: line.partition("# wrong: ")[2] for number, line in enumerate(lines, 1)}
    wrong = {number: kind for number, kind in marked.items() if kind}
    assert len(wrong) == 26
    assert judged(cache, JOININGS) == {JOININGS: wrong}


@pytest.mark.timeout(MYPY_S_MAX)
@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda one: one.file)
def test_the_build_fails_when_a_type_loses_its_environment(
    cache: Path, tmp_path: Path, mistake: Mistake
) -> None:
    page = (SOURCE / mistake.file).read_text(encoding="utf-8")
    assert page.count(mistake.before) == 1
    shadow = tmp_path / "shadow.py"
    shadow.write_text(page.replace(mistake.before, mistake.after), encoding="utf-8")
    assert judged(cache, "--shadow-file", f"src/ordergate/{mistake.file}", str(shadow), "src")

"""What every test may ask for: the recorded data's folder, and a dose."""

import gc
import signal
from pathlib import Path
from typing import Final

import pytest
from hypothesis import HealthCheck, settings

from tests.dose import LONG, SHORT
from tests.recorded import find_shared_dir, not_run_sentence, split_by_need

pytest_plugins = (
    "tests.fixtures.outcomes",
    "tests.fixtures.network",
    "tests.fixtures.hsm",
    "tests.fixtures.house",
    "tests.fixtures.logged",
    "tests.fixtures.postgres",
)

# Two cores shared with servers under test: how long one example takes says nothing about our code.
settings.register_profile("usual", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile(
    "long", deadline=None, max_examples=2_000, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("short", deadline=None, max_examples=20, derandomize=True, database=None)
settings.load_profile("long" if LONG else "short" if SHORT else "usual")

# A run that a shell put into the background was told to ignore Ctrl-C, and so would the programs under test.
signal.signal(signal.SIGINT, signal.default_int_handler)

NOT_RUN: Final = pytest.StashKey[int]()

# Files here take a minute each. Begun last, one of them would keep one worker while the others have none.
LONG_ONES: Final = ("teeth", "crash", "simulation", "e2e", "cli", "security")


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """The folder with the recorded market data. Without it, the tests that ask are left out."""
    folder = find_shared_dir()
    assert folder is not None, "tests that ask for shared_dir are left out when it is absent"
    return folder


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Long files first; leave out, and count, what cannot run without the recordings."""
    items.sort(key=lambda item: not set(LONG_ONES) & set(item.path.parts))
    config.stash[NOT_RUN] = 0
    if find_shared_dir() is not None:
        return
    items[:], needy = split_by_need(items)
    config.stash[NOT_RUN] = len(needy)


def pytest_collection_finish() -> None:
    """Ten thousand tests are there until the end: to look through them for garbage takes a third of a run."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 10, 10)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: object) -> None:
    """With pytest-xdist the workers collect; every worker collects the same, so one answer is enough."""
    output = getattr(node, "workeroutput", {})
    config: pytest.Config = getattr(node, "config")  # noqa: B009 - xdist publishes no type for its nodes
    config.stash[NOT_RUN] = max(config.stash.get(NOT_RUN, 0), int(output.get("ordergate_not_run", 0)))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A worker of pytest-xdist tells the terminal's process what it left out."""
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["ordergate_not_run"] = session.config.stash.get(NOT_RUN, 0)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """One line, at the end, about what this machine could not run and why."""
    count = config.stash.get(NOT_RUN, 0)
    if count:
        terminalreporter.write_line(not_run_sentence(count), yellow=True)

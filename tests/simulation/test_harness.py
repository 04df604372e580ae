"""The simulation itself: it repeats to the byte, is silent without faults, and shouts when it should."""

import os
import subprocess
import sys

from ordergate.simulation.plan import draw
from ordergate.simulation.town import run

_SCRIPT = """
from ordergate.simulation.plan import draw
from ordergate.simulation.town import run
from ordergate.telemetry import log
log.configure("critical")
print([run(draw(seed)).digest for seed in (3, 7, 12)])
"""


def _digests(hash_seed: str) -> str:
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    command = [sys.executable, "-c", _SCRIPT]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=True, env=environment)
    return done.stdout


def test_a_seed_gives_the_same_run_whatever_the_hash_seed() -> None:
    assert _digests("1") == _digests("4242")


def test_without_faults_none_are_counted_and_nothing_is_violated() -> None:
    for seed in range(1, 6):
        result = run(draw(seed, ()))
        assert (result.hits, result.violations) == ({}, ())
        assert result.orders > 50

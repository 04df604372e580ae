"""A signal stops what is under way, in order; another one, of the impatient, does not cut that short."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from ordergate.wiring.serving import STOP_SIGNALS, _Signals

PATIENCE_S = 20.0


@pytest.mark.parametrize("number", STOP_SIGNALS)
async def test_a_second_signal_at_the_start_does_not_skip_the_stopping(number: signal.Signals) -> None:
    begun, let, stopped = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def starting() -> None:
        with _Signals():
            try:
                begun.set()
                await asyncio.Event().wait()
            finally:
                begun.set()
                await let.wait()  # as a database server that was just started and has to be stopped
                stopped.set()

    async with asyncio.timeout(PATIENCE_S):
        start = asyncio.create_task(starting())
        await begun.wait()
        for _ in range(2):
            begun.clear()
            os.kill(os.getpid(), number)
            await asyncio.sleep(0.1)
        let.set()
        await asyncio.gather(start, return_exceptions=True)
    assert stopped.is_set()
    assert start.cancelled()


async def test_whoever_starts_it_with_nohup_keeps_it_when_the_terminal_is_closed() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with _Signals():
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
            os.kill(os.getpid(), signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)

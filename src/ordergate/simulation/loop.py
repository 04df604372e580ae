"""An event loop whose time moves only when nothing is left to do.

Callbacks run in the order they were asked for, timers in the order of their times, so a run depends
on nothing but its input. Every callback belongs to the process that asked for it, by its context;
a process can be frozen, and can be ended between any two of its callbacks, as `kill -9` would:
nothing of it runs again, and nobody is told.
"""

from __future__ import annotations

import asyncio
from asyncio.events import _get_running_loop, _set_running_loop
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context, ContextVar, copy_context
from heapq import heappop, heappush
from typing import Any, Final, TypeVar, TypeVarTuple, Unpack

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

WORLD: Final = ""
STEPS_AT_ONCE_MAX: Final = 50_000
"""A whole run has about ten thousand: who takes so many while no time passes will never stop."""
_BURIALS_MAX: Final = 20
_process: ContextVar[str] = ContextVar("simulated process", default=WORLD)


class _Step(asyncio.TimerHandle):
    """One callback, now or later. A run has ten thousand: it holds what is needed and asks for nothing."""

    __slots__ = ("args", "call", "context", "dropped", "due")

    def __init__(
        self, due: float, call: Callable[..., object], args: tuple[Any, ...], context: Context
    ) -> None:
        self.due = due
        self.call = call
        self.args = args
        self.context = context
        self.dropped = False

    def cancel(self) -> None:
        """A timer that was cancelled leaves the loop when its time comes."""
        self.dropped = True
        self.call, self.args = _nothing, ()

    def cancelled(self) -> bool:
        return self.dropped

    def when(self) -> float:
        return self.due

    def __repr__(self) -> str:
        return f"<{self.call!r} at {self.due}>"


def _nothing() -> None: ...


class Spinning(RuntimeError):
    """Something goes on for ever at one and the same moment."""


class VirtualLoop(asyncio.BaseEventLoop):
    """Has no sockets, no threads and no signals: asking for one is an error, not a wait."""

    def __init__(self) -> None:
        self._running = False
        super().__init__()
        self.steps = 0
        self._steps_max = STEPS_AT_ONCE_MAX
        self._why: str | None = None
        self.complaints: list[BaseException] = []
        self._now = 0.0
        self._ready: deque[_Step] = deque()
        self._timers: list[tuple[float, int, _Step]] = []
        self._ticket = 0
        self._ended: set[str] = set()
        self._unrun: list[_Step] = []
        self._frozen: dict[str, deque[_Step]] = {}
        self._closed = False

    # -- time and processes

    def time(self) -> float:
        return self._now

    def process(self, name: str) -> Context:
        """The context in which everything of the process runs."""
        context = copy_context()
        context.run(_process.set, name)
        return context

    def end(self, name: str) -> None:
        """Nothing of this process runs again, until `bury`."""
        self._ended.add(name)
        self._unrun.extend(self._frozen.pop(name, ()))

    def freeze(self, name: str) -> None:
        self._frozen.setdefault(name, deque())

    def is_frozen(self, name: str) -> bool:
        return name in self._frozen

    def thaw(self, name: str) -> None:
        """What was to run meanwhile runs now, in its order."""
        self._ready.extend(self._frozen.pop(name, ()))

    def give_up(self, why: str) -> None:
        """It spins in a way that takes time: whoever runs the loop is told at the next step."""
        self._why = why

    def run_until(self, when: float) -> None:
        """Do everything there is to do up to this time."""
        before = _get_running_loop()
        _set_running_loop(self)
        self._running = True
        self._steps_max = self.steps + STEPS_AT_ONCE_MAX
        try:
            while True:
                self._run_ready()
                if not self._timers or self._timers[0][0] > when:
                    break
                due, _, step = heappop(self._timers)
                if not step.dropped:
                    if due > self._now:
                        self._now = due
                        self._steps_max = self.steps + STEPS_AT_ONCE_MAX
                    self._ready.append(step)
            self._now = max(self._now, when)
        finally:
            self._running = False
            _set_running_loop(before)

    def bury(self) -> None:
        """The run is over: let every task there ever was end in an orderly way, and close."""
        self._why = None
        self._ended.clear()
        for name in tuple(self._frozen):
            self.thaw(name)
        self._ready.extend(self._unrun)
        self._unrun.clear()
        for _ in range(_BURIALS_MAX):
            left = asyncio.all_tasks(self)
            if not left:
                break
            for task in left:
                task.cancel()
            self.run_until(self._now)
        self.close()

    def _run_ready(self) -> None:
        ready, ended, frozen = self._ready, self._ended, self._frozen
        while ready:
            step = ready.popleft()
            if step.dropped:
                continue
            context = step.context
            if ended or frozen:
                name = context.get(_process, WORLD)
                if name in ended:
                    self._unrun.append(step)
                    continue
                if name in frozen:
                    frozen[name].append(step)
                    continue
            self.steps += 1
            if self.steps > self._steps_max or self._why is not None:
                raise Spinning(self._why or f"{STEPS_AT_ONCE_MAX} steps at {self._now:.3f} s")
            try:
                context.run(step.call, *step.args)
            except (SystemExit, KeyboardInterrupt):
                raise
            except BaseException as fault:  # what asyncio does with what nobody waits for
                self.complaints.append(fault)

    # -- what asyncio asks of a loop

    def call_soon(
        self, callback: Callable[[Unpack[Ts]], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        step = _Step(self._now, callback, args, copy_context() if context is None else context)
        self._ready.append(step)
        return step

    def call_soon_threadsafe(
        self, callback: Callable[[Unpack[Ts]], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        return self.call_soon(callback, *args, context=context)

    def call_later(
        self,
        delay: float,
        callback: Callable[[Unpack[Ts]], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        return self.call_at(self._now + max(delay, 0.0), callback, *args, context=context)

    def call_at(
        self,
        when: float,
        callback: Callable[[Unpack[Ts]], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        step = _Step(when, callback, args, copy_context() if context is None else context)
        self._ticket += 1
        heappush(self._timers, (when, self._ticket, step))
        return step

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def create_task(
        self,
        coro: Coroutine[Any, Any, T],  # type: ignore[override]  # asyncio's own stub takes generators too
        *,
        name: object = None,
        context: Context | None = None,
    ) -> asyncio.Task[T]:
        return asyncio.Task(coro, loop=self, name=None if name is None else str(name), context=context)

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Kept for whoever runs the loop; an ended process leaves tasks behind that nobody mourns."""
        if "exception" in context:
            self.complaints.append(context["exception"])

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return self._running

    def is_closed(self) -> bool:
        return self._closed

    def close(self) -> None:
        self._closed = True
        self._ready.clear()
        self._timers.clear()
        self._frozen.clear()

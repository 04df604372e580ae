"""How wrong this machine's clock is, as its time keeper says: chrony where it runs, else the kernel.

The kernel knows only what a time keeper tells it: the offset that it is still correcting, and an upper bound
of the error. A clock that the kernel calls unsynchronized is unknown, whatever it shows.
"""

from __future__ import annotations

import asyncio
import ctypes
import ctypes.util
import shutil
from typing import Final

TIMEOUT_S: Final = 2.0
TRACKING_FIELDS: Final = 14
_OFFSET: Final = 4  # of `chronyc -c tracking`: seconds that the system clock is slow; negative when fast
_LEAP: Final = 13
_NOT_SYNCHRONISED: Final = "Not synchronised"
_TIME_ERROR: Final = 5
_STA_UNSYNC: Final = 0x0040
_STA_NANO: Final = 0x2000


class MachineOffset:
    """Implements ports.clock_offset.ClockOffset."""

    def __init__(self) -> None:
        self._chronyc = shutil.which("chronyc")

    async def offset_ms(self) -> float | None:
        if self._chronyc is not None:
            told = await _run(self._chronyc, "-c", "tracking")
            if told is not None and (found := offset_in(told)) is not None:
                return found
        return kernel_offset_ms()


def offset_in(tracking: str) -> float | None:
    """The offset in what `chronyc -c tracking` prints; None when it is not synchronised."""
    fields = tracking.strip().split(",")
    if len(fields) < TRACKING_FIELDS or fields[_LEAP] == _NOT_SYNCHRONISED:
        return None
    try:
        return -float(fields[_OFFSET]) * 1000
    except ValueError:
        return None


class _Timex(ctypes.Structure):
    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_byte * 256),
    )


def kernel_offset_ms() -> float | None:
    """The offset that the kernel still corrects; the bound of its error where that is all it knows."""
    name = ctypes.util.find_library("c")
    library = None if name is None else ctypes.CDLL(name, use_errno=True)
    if library is None or not hasattr(library, "adjtimex"):
        return None
    timex = _Timex()
    state = library.adjtimex(ctypes.byref(timex))
    if state in (-1, _TIME_ERROR) or timex.status & _STA_UNSYNC:
        return None
    scale = 1e6 if timex.status & _STA_NANO else 1e3
    return float(timex.offset / scale) if timex.offset else float(timex.maxerror / 1e3)


async def _run(*command: str) -> str | None:
    try:
        process = await asyncio.create_subprocess_exec(
            *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
        )
    except OSError:
        return None
    try:
        async with asyncio.timeout(TIMEOUT_S):
            told, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        return None
    return told.decode(errors="replace") if process.returncode == 0 else None

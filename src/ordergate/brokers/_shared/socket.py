"""Keeps one WebSocket conversation alive for as long as somebody listens.

Says when it is up, what it heard, and when it was lost and why; what was missed in between is
for the listener to fetch. A link counts as lost when it closes, when a ping goes unanswered,
when the application stays silent after being asked something it must answer, or when it sends
what cannot be understood. Attempts are spaced by a capped, jittered backoff that only a link
which stayed up for a while resets: a server that accepts and drops at once is not stormed.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence
from typing import Final, Literal, NoReturn, Protocol, TypeVar, cast

import aiohttp
import msgspec
from yarl import URL

from ordergate.brokers._shared.trust import KeyNotPinned
from ordergate.ports.clock import Chance, Clock
from ordergate.telemetry.log import logger

log = logger("brokers.socket")

T_co = TypeVar("T_co", covariant=True)
T = TypeVar("T")

_JITTER_BITS: Final = 16
_DATA: Final = frozenset({aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY})
_CLOSED: Final = frozenset(
    {aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSING, aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR}
)


class Up(msgspec.Struct, frozen=True):
    """The conversation has begun; what came before may have been missed."""


class Down(msgspec.Struct, frozen=True):
    why: str


class LinkLost(Exception):
    """The link cannot be used any more; the text says why."""


class Garbled(LinkLost):
    """A frame that cannot be understood: what it said is missed, as if the link had broken."""


class Patience(msgspec.Struct, frozen=True, kw_only=True):
    """Every wait of a conversation. A pong must come within half of `ping_every_s`."""

    connect_s: float = 5.0
    greet_s: float = 10.0
    ping_every_s: float = 10.0
    silence_s: float = 30.0
    probe_answer_s: float = 10.0
    retry_first_s: float = 0.5
    retry_s_max: float = 30.0
    stable_s: float = 10.0
    frame_bytes_max: int = 1024 * 1024

    def __post_init__(self) -> None:
        # Below this, a server that drops every link at once would be stormed.
        if not 0.1 <= self.retry_first_s <= self.retry_s_max:
            raise ValueError("retry_first_s must be at least 0.1 and at most retry_s_max")


class Link:
    """One open WebSocket, reduced to frames of bytes."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse[Literal[False]]) -> None:
        self.heard = 0
        self._socket = socket
        self._given_up: str | None = None

    async def send(self, frame: bytes) -> None:
        try:
            await self._socket.send_str(frame.decode())
        except (aiohttp.ClientError, OSError) as fault:
            raise LinkLost(f"could not send: {type(fault).__name__}") from fault

    async def receive(self, timeout_s: float | None = None) -> bytes:
        """The next frame, text or binary. Raises TimeoutError, and LinkLost at the end.

        Without a timeout somebody else must watch over the link: see `_watch`.
        """
        message = await self._socket.receive(timeout=timeout_s)
        if message.type in _DATA:
            self.heard += 1
            return cast(bytes, message.data)
        raise LinkLost(self._given_up or _end(message.type, self._socket))

    async def give_up(self, why: str) -> None:
        """Whoever waits for a frame is told why there will be none."""
        self._given_up = why
        await self._socket.close()

    async def close(self) -> None:
        await self._socket.close()


class Conversation(Protocol[T_co]):
    """What is said on a fresh link, and how frames are read. One object serves every link."""

    url: URL

    async def greet(self, link: Link) -> Sequence[bytes]:
        """Log in and subscribe; returns frames that arrived on the way and are news already."""
        ...

    def probe(self) -> bytes:
        """A frame that the application answers, whatever its state."""
        ...

    def read(self, frame: bytes) -> Iterable[T_co]:
        """What the frame says. Raises Garbled."""
        ...


class Backoff:
    """How long to wait before the next attempt: doubling, capped, half of it chance."""

    def __init__(self, patience: Patience, chance: Chance) -> None:
        self._patience = patience
        self._chance = chance
        self._next_s = patience.retry_first_s

    def take(self) -> float:
        whole = self._next_s
        self._next_s = min(whole * 2, self._patience.retry_s_max)
        share: float = self._chance.bits(_JITTER_BITS) / (1 << _JITTER_BITS)
        return whole * (0.5 + share / 2)

    def reset(self) -> None:
        self._next_s = self._patience.retry_first_s


class Redirected(aiohttp.ClientError):
    """The server pointed elsewhere; credentials are said to nobody but the host we chose."""


async def _refuse_redirect(*_: object) -> NoReturn:
    raise Redirected


def stream_session(tls: ssl.SSLContext | None = None) -> aiohttp.ClientSession:
    """A session for streams: no redirects, no cookies, no proxy of the environment.

    Without `tls` whatever the machine trusts may vouch for a host.
    """
    trace = aiohttp.TraceConfig()
    trace.on_request_redirect.append(_refuse_redirect)
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(ssl=tls or True),
        trace_configs=[trace],
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
    )


Wait = Callable[[], Awaitable[None]]
Fresh = tuple[Link, Sequence[bytes]]
"""A link that has been greeted, with the frames that came meanwhile."""


class Renewal:
    """Lets a conversation go on over a fresh link, as after a change of credentials.

    Where two links may stand at once, the fresh one is greeted before the old one is let go, so that at every
    moment one of them listens; the listener is told `Up` and never `Down`, and what fell between is fetched
    as ever. Where only one may, the old one is let go first.
    """

    def __init__(self, *, two_at_once: bool) -> None:
        self._listening = False
        self._two_at_once = two_at_once
        self._asked = asyncio.Event()
        self._asked_times = 0
        self._fresh: Fresh | None = None

    async def __aenter__(self) -> Renewal:
        self._listening = True
        return self

    async def __aexit__(self, *_: object) -> None:
        self._listening = False
        if (fresh := self._fresh) is not None:
            self._fresh = None
            await fresh[0].close()

    def ask(self) -> None:
        self._asked_times += 1
        self._asked.set()

    @property
    def pending(self) -> bool:
        """Whether an old link may still be in use."""
        return self._listening and (self._asked.is_set() or self._fresh is not None)

    def take(self) -> Fresh | None:
        """The link to go on with; where there is none, whatever comes next is greeted anew anyhow."""
        fresh, self._fresh = self._fresh, None
        if fresh is None:
            self._asked.clear()
        return fresh

    async def replace(self, old: Link, dial: Callable[[], Awaitable[Fresh]], wait: Wait) -> None:
        """Wait until it is asked for, and put a fresh link in the place of the old one.

        Who asks while the fresh one is being greeted means one after it: that one may have begun as before.
        """
        await self._asked.wait()
        while self._two_at_once and self._fresh is None:
            asked_times = self._asked_times
            try:
                self._fresh = await dial()
                if asked_times == self._asked_times:
                    self._asked.clear()
            except LinkLost as lost:
                log.warning("broker.stream_not_renewed", why=str(lost))
                await wait()
        await old.give_up("renewed")


async def lifeline(
    session: aiohttp.ClientSession,
    conversation: Conversation[T],
    *,
    patience: Patience,
    clock: Clock,
    chance: Chance,
    renewal: Renewal | None = None,
) -> AsyncGenerator[Up | Down | T, None]:
    """Up, what is heard, Down, and again, for as long as it is iterated."""
    backoff = Backoff(patience, chance)
    renewal = renewal or Renewal(two_at_once=True)
    told_down = False
    fresh: Fresh | None = None

    async def wait() -> None:
        await clock.sleep(backoff.take())

    async def dial() -> Fresh:
        link = await _dial(session, conversation.url, patience)
        try:
            return link, await _greeted(conversation, link, patience)
        except BaseException:
            await link.close()
            raise

    while True:
        up_at: float | None = None
        link: Link | None = None
        beside: list[asyncio.Task[None]] = []
        why = ""
        try:
            link, early = fresh or await dial()
            up_at = clock.monotonic()
            yield Up()
            told_down = False
            for frame in early:
                for item in conversation.read(frame):
                    yield item
            beside.append(asyncio.create_task(_watch(conversation, link, patience)))
            beside.append(asyncio.create_task(renewal.replace(link, dial, wait)))
            while True:
                frame = await link.receive()
                for item in conversation.read(frame):
                    yield item
        except LinkLost as lost:
            why = str(lost)
        finally:
            for task in beside:
                task.cancel()
            if link is not None:
                await link.close()
        fresh = renewal.take()
        if fresh is not None:
            continue
        log.warning("broker.stream_lost", why=why, url=str(conversation.url))
        if not told_down:
            told_down = True
            yield Down(why)
        if up_at is not None and clock.monotonic() - up_at >= patience.stable_s:
            backoff.reset()
        await wait()


async def _dial(session: aiohttp.ClientSession, url: URL, patience: Patience) -> Link:
    try:
        async with asyncio.timeout(patience.connect_s):
            socket = await session.ws_connect(
                url,
                heartbeat=patience.ping_every_s,
                max_msg_size=patience.frame_bytes_max,
                decode_text=False,
                timeout=aiohttp.ClientWSTimeout(ws_close=1.0),
            )
    except TimeoutError:
        raise LinkLost("no connection within the time allowed") from None
    except (aiohttp.ClientError, OSError) as fault:
        beneath = fault.__cause__
        why = beneath if isinstance(beneath, KeyNotPinned) else type(fault).__name__
        raise LinkLost(f"no connection: {why}") from fault
    return Link(socket)


async def _greeted(conversation: Conversation[T], link: Link, patience: Patience) -> Sequence[bytes]:
    try:
        async with asyncio.timeout(patience.greet_s):
            return await conversation.greet(link)
    except TimeoutError:
        raise LinkLost("no answer to the greeting within the time allowed") from None


async def _watch(conversation: Conversation[T], link: Link, patience: Patience) -> None:
    """Ask an application once that has been silent, and then give it up.

    Beside the reading, because a timeout for each of many frames would cost more than reading them.
    """
    try:
        while True:
            await _silence(link, patience.silence_s)
            await link.send(conversation.probe())
            heard = link.heard
            await asyncio.sleep(patience.probe_answer_s)
            if link.heard == heard:
                await link.give_up("silent: no answer to a probe within the time allowed")
                return
    except LinkLost as lost:
        await link.give_up(str(lost))


async def _silence(link: Link, seconds: float) -> None:
    """Until nothing was heard for so long, give or take a part of it."""
    silent_for, heard = 0.0, link.heard
    step = seconds / 8
    while silent_for < seconds:
        await asyncio.sleep(step)
        silent_for = silent_for + step if link.heard == heard else 0.0
        heard = link.heard


def _end(kind: aiohttp.WSMsgType, socket: aiohttp.ClientWebSocketResponse[Literal[False]]) -> str:
    fault = socket.exception()
    if fault is not None:
        return f"broken: {type(fault).__name__}"
    if kind in _CLOSED:
        return f"closed with code {socket.close_code}"
    return f"unexpected frame of type {kind.name}"

"""One account's events over the gateway's stream, without a gap, for as long as somebody listens.

A connection that breaks is made again and goes on where it stopped. When the gateway says it cannot
go on from there, the listener is told to forget what it knew.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, Final

import msgspec
from websockets.exceptions import (
    ConnectionClosed,
    InvalidHandshake,
    InvalidMessage,
    InvalidStatus,
    InvalidURI,
)
from websockets.sync.client import ClientConnection, connect

from ordergate.cli.client import GatewayClient, refused
from ordergate.cli.exits import ExitCode, Stopped
from ordergate.cli.tokens import OVER
from ordergate.core.refusals import Code

OPEN_S_MAX: Final = 10.0
CLOSE_S_MAX: Final = 2.0
HEARTBEATS_MAX: Final = 5
"""So many that were not heard: the stream is dead. The first message says how often they come."""
SILENCE_S_MIN: Final = 5.0
"""However often they come; and until that is known, OPEN_S_MAX."""
AWAY_S_MAX: Final = 300.0
PAUSES_S: Final = (0.2, 0.5, 1.0, 2.0, 5.0)
NONCES_MAX: Final = 1
MESSAGE_BYTES_MAX: Final = 64 * 1024 * 1024
_PASSING: Final = frozenset({Code.UNAVAILABLE, Code.AUDIT_UNAVAILABLE, Code.NOT_READY, Code.RATE_LIMITED})
_BROKEN: Final = (ConnectionClosed, InvalidHandshake, InvalidMessage, OSError, TimeoutError)


class Event(msgspec.Struct, frozen=True):
    """A journalled event, as the stream shows it."""

    frame: dict[str, Any]


class Reset(msgspec.Struct, frozen=True):
    """The account as of one moment; what was known before does not count.

    `missed` where the stream was to go on from somewhere and could not: events before it are not told.
    """

    frame: dict[str, Any]
    missed: bool

    @property
    def orders(self) -> list[dict[str, Any]]:
        """The open ones."""
        orders: list[dict[str, Any]] = self.frame["snapshot"]["orders"]
        return orders


class Lost(msgspec.Struct, frozen=True):
    """The stream broke; another is being opened."""

    why: str


class Joined(msgspec.Struct, frozen=True):
    """The stream is open, and events follow."""


News = Event | Reset | Lost | Joined


class Position(msgspec.Struct):
    """The last event that was seen, of which incarnation of the stream."""

    stream_id: str | None = None
    seq: int = 0


def follow(client: GatewayClient, account: str, position: Position) -> Iterator[News]:
    """Events after `position`, which moves along. Raises Stopped when there is no hope of more."""
    pauses, lost_at, why = iter(PAUSES_S), None, ""
    while True:
        try:
            for news in _one_connection(client, account, position):
                pauses, lost_at = iter(PAUSES_S), None
                yield news
        except _Again as again:
            why = str(again)
        now = time.monotonic()
        if lost_at is None:
            lost_at = now
            yield Lost(why)
        if now - lost_at > AWAY_S_MAX:
            raise Stopped(ExitCode.UNREACHABLE, f"the stream did not come back in {AWAY_S_MAX:g} s ({why})")
        time.sleep(next(pauses, PAUSES_S[-1]))


class _Again(Exception):
    """This connection is over, the next may do better."""


def _one_connection(client: GatewayClient, account: str, position: Position) -> Iterator[News]:
    goes_on = position.stream_id is not None
    is_first, silence_s = not goes_on, OPEN_S_MAX
    try:
        with _opened(client) as socket:
            socket.send(msgspec.json.encode(_subscribe(account, position)).decode())
            while True:
                message = _received(client, socket, silence_s)
                if message["type"] == "welcome":
                    silence_s = silence_of(message)
                yield from _news(message, account, position, goes_on=goes_on)
                is_first = False
    except InvalidStatus as error:
        no = _refusal(error)
        if is_first or no.code is not ExitCode.REFUSED:
            raise no from error
        raise _Again(no.sentence) from error
    except InvalidURI as error:
        raise Stopped(ExitCode.USAGE, f"the profile's stream_url is no WebSocket address: {error}") from error
    except _BROKEN as error:
        if is_first and not isinstance(error, ConnectionClosed):
            place = client.profile.stream_url
            raise Stopped(
                ExitCode.UNREACHABLE, f"the stream at {place} cannot be reached: {error}"
            ) from error
        raise _Again(_why(error)) from error
    except Stopped as stopped:
        if is_first or stopped.code is not ExitCode.UNREACHABLE or stopped.told["code"] == OVER:
            raise
        raise _Again(stopped.sentence) from stopped  # no token, as long as the gateway is away


def _why(error: Exception) -> str:
    """The gateway's own words where it closed the stream, and not the library's account of it."""
    if isinstance(error, ConnectionClosed) and error.rcvd is not None and error.rcvd.reason:
        return f"{error.rcvd.code}: {error.rcvd.reason}"
    return str(error) or type(error).__name__


def _opened(client: GatewayClient) -> ClientConnection:
    """Once more where the server had another nonce in mind."""
    try:
        return _connected(client)
    except InvalidStatus as error:
        response = error.response
        if response.status_code == 401 and client.exchange.proofs.heard(
            client.profile.stream_url, {name.lower(): value for name, value in response.headers.raw_items()}
        ):
            return _connected(client)
        raise


def _connected(client: GatewayClient) -> ClientConnection:
    url, token = client.profile.stream_url, client.token().text
    return connect(
        url,
        additional_headers=client.exchange.proofs.headers("GET", url, token),
        open_timeout=OPEN_S_MAX,
        close_timeout=CLOSE_S_MAX,
        max_size=MESSAGE_BYTES_MAX,
        compression=None,
        proxy=None if client.profile.is_local else True,
    )


def _subscribe(account: str, position: Position) -> dict[str, Any]:
    asked: dict[str, Any] = {
        "type": "subscribe",
        "id": "watch",
        "account_id": account,
        "channels": ["orders"],
    }
    if position.stream_id is not None:
        asked["resume"] = {"stream_id": position.stream_id, "after_seq": position.seq}
    return asked


def silence_of(welcome: dict[str, Any]) -> float:
    """For how long this stream may say nothing."""
    return max(SILENCE_S_MIN, HEARTBEATS_MAX * float(welcome["heartbeat_s"]))


def _received(
    client: GatewayClient, socket: ClientConnection, silence_s: float = OPEN_S_MAX
) -> dict[str, Any]:
    """The next message. A token that is about to expire is replaced meanwhile."""
    silent_until = time.monotonic() + silence_s
    nonces_left = NONCES_MAX
    while True:
        now = time.monotonic()
        renew_in = client.token().renew_at - now
        try:
            text = socket.recv(timeout=max(0.0, min(silent_until - now, renew_in)))
        except TimeoutError:
            if time.monotonic() >= silent_until:
                raise TimeoutError(f"nothing was heard for {silence_s:g} s") from None
            _renew(client, socket)
            continue
        message: dict[str, Any] = msgspec.json.decode(text)
        if message["type"] == "error" and message["code"] == Code.PROOF_NONCE and nonces_left:
            nonces_left -= 1
            client.exchange.proofs.hear(client.profile.stream_url, message["dpop_nonce"])
            _renew(client, socket)
            continue
        return message


def _renew(client: GatewayClient, socket: ClientConnection) -> None:
    """Another token for the stream, with a proof for the request that opened it."""
    token = client.token().text
    proof = client.exchange.proofs.proof("GET", client.profile.stream_url, token)
    renewed = {"type": "auth.refresh", "token": token, "dpop": proof}
    socket.send(msgspec.json.encode(renewed).decode())


def _news(message: dict[str, Any], account: str, position: Position, *, goes_on: bool) -> Iterator[News]:
    match message["type"]:
        case "subscribed":
            if message.get("resumed"):  # else a reset follows, and what it says is missed until then
                position.stream_id, position.seq = message["stream_id"], max(position.seq, message["seq"])
            yield Joined()
        case "reset":
            position.stream_id, position.seq = message["stream_id"], message["as_of_seq"]
            yield Reset(message, missed=goes_on)
        case "event":
            if message["prev_seq"] > position.seq:
                raise _Again(f"events after {position.seq} are missing")
            if message["seq"] > position.seq:
                position.seq = message["seq"]
                yield Event(message)
        case "error" if message["code"] in _PASSING:
            raise _Again(message["detail"])
        case "error":
            raise Stopped(ExitCode.REFUSED, f"{message['code']}: {message['detail']}", message)
        case "heartbeat" if message["last_seq"].get(account, 0) > position.seq:
            raise _Again(f"events after {position.seq} are missing")
        case _:
            return


def _refusal(error: InvalidStatus) -> Stopped:
    status, body = error.response.status_code, error.response.body or b""
    try:
        told = msgspec.json.decode(body)
    except msgspec.DecodeError:
        told = None
    return refused(status, told)

"""The words of the stream: what a client may say, and how the server says its own. Pure.

Both directions are JSON objects with a `type`. A client's frame may carry an `id`; whatever answers
the frame repeats it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Annotated, Any, Final, Literal

import msgspec

from ordergate.api.group_requests import GroupFields, GroupIdText
from ordergate.api.json_bodies import Judged
from ordergate.api.problems import FieldError, Problem, retry_after_s
from ordergate.api.requests import (
    AccountIdText,
    AmountText,
    Label,
    OrderFields,
    OrderIdText,
    Revision,
    SymbolText,
    impossible_amounts,
)
from ordergate.api.stream.channels import Channel
from ordergate.core.access import Principal
from ordergate.core.refusals import Code, Refusal

WAIT_S_MAX: Final = 30

FrameId = Label
Token = Annotated[str, msgspec.Meta(min_length=1, max_length=8_192, description="an access token")]
Proof = Annotated[str, msgspec.Meta(min_length=1, max_length=8_192, description="a proof of possession")]
TicketText = Annotated[str, msgspec.Meta(min_length=1, max_length=128, description="a ticket")]
Key = Annotated[str, msgspec.Meta(max_length=200, description="an idempotency key")]
Wait = Annotated[
    int, msgspec.Meta(ge=0, le=WAIT_S_MAX, description=f"a whole number of seconds, 0 to {WAIT_S_MAX}")
]
Channels = Annotated[
    list[Channel], msgspec.Meta(min_length=1, max_length=6, description="a list of 1 to 6 channels")
]
Symbols = Annotated[
    list[SymbolText], msgspec.Meta(min_length=1, max_length=100, description="a list of 1 to 100 symbols")
]
Prices = Literal["quotes", "trades"]


class ClientFrame(
    msgspec.Struct, frozen=True, gc=False, kw_only=True, forbid_unknown_fields=True, tag_field="type"
):
    id: FrameId | None = None


class LoginFrame(ClientFrame, frozen=True, kw_only=True):
    """A token, with the proof of its key where it is bound to one, or a ticket."""

    token: Token | None = None
    dpop: Proof | None = None
    ticket: TicketText | None = None

    @property
    def is_whole(self) -> bool:
        return (self.token is None) != (self.ticket is None) and (self.dpop is None or self.token is not None)


class Authenticate(LoginFrame, frozen=True, kw_only=True, tag="authenticate"):
    """The first frame of a client that could not send an Authorization header."""


class Refresh(LoginFrame, frozen=True, kw_only=True, tag="auth.refresh"):
    """A new token or ticket of the same client, before the old one expires."""


class Ping(ClientFrame, frozen=True, kw_only=True, tag="ping"):
    """Answered by a pong; for clients that cannot send a WebSocket's own."""


class Resume(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """Go on after `after_seq` of the stream's incarnation `stream_id`."""

    stream_id: Annotated[str, msgspec.Meta(min_length=1, max_length=64, description="a stream id")]
    after_seq: Annotated[int, msgspec.Meta(ge=0, le=2**53, description="a sequence number")]


class Subscribe(ClientFrame, frozen=True, kw_only=True, tag="subscribe"):
    """To channels of an account, or to quotes or trades of symbols."""

    account_id: AccountIdText | None = None
    channels: Channels | None = None
    resume: Resume | None = None
    channel: Prices | None = None
    symbols: Symbols | None = None


class Unsubscribe(ClientFrame, frozen=True, kw_only=True, tag="unsubscribe"):
    account_id: AccountIdText | None = None
    channel: Prices | None = None
    symbols: Symbols | None = None


class CommandFrame(ClientFrame, frozen=True, kw_only=True):
    """`idempotency_key` has the same scope as REST's header: the same key is the same request."""

    id: FrameId
    idempotency_key: Key | None = None
    wait_s: Wait = 0


class Place(CommandFrame, frozen=True, kw_only=True, tag="place"):
    order: OrderFields


class Cancel(CommandFrame, frozen=True, kw_only=True, tag="cancel"):
    """With `if_revision` only an order that is still as it was seen, as REST's `If-Match` says it."""

    order_id: OrderIdText
    if_revision: Revision | None = None


class Replace(CommandFrame, Judged, frozen=True, kw_only=True, tag="replace"):
    order_id: OrderIdText
    quantity: AmountText | None = None
    limit_price: AmountText | None = None
    stop_price: AmountText | None = None
    if_revision: Revision | None = None

    @classmethod
    def impossible(cls, given: Mapping[str, Any]) -> dict[str, str]:
        return impossible_amounts(given)


class GroupFrame(ClientFrame, frozen=True, kw_only=True):
    """A command about a group of orders; its answer never waits for the broker."""

    id: FrameId
    idempotency_key: Key | None = None


class PlaceGroup(GroupFrame, frozen=True, kw_only=True, tag="place_group"):
    group: GroupFields


class CancelGroup(GroupFrame, frozen=True, kw_only=True, tag="cancel_group"):
    group_id: GroupIdText


class DeadManFrame(ClientFrame, frozen=True, kw_only=True):
    """About the dead man's switch of a session that the client names."""

    session: Label = "default"


class DeadManArm(DeadManFrame, frozen=True, kw_only=True, tag="dead_man.arm"):
    """As `PUT /v1/dead-man`; with `on_disconnect` losing this stream counts at once."""

    gtc: Annotated[str, msgspec.Meta(pattern=r"\A(?:cancel|keep)\Z", description='"cancel" or "keep"')]
    timeout_s: Annotated[
        int, msgspec.Meta(ge=5, le=3_600, description="a whole number of seconds, 5 to 3600")
    ] = 60
    on_disconnect: bool = False


class DeadManRefresh(DeadManFrame, frozen=True, kw_only=True, tag="dead_man.refresh"):
    """The client is there."""


class DeadManDisarm(DeadManFrame, frozen=True, kw_only=True, tag="dead_man.disarm"):
    """The client will be away on purpose."""


class DropCopySubscribe(ClientFrame, frozen=True, kw_only=True, tag="drop_copy.subscribe"):
    """To the drop copy, after a number that was seen; without one from now on."""

    after: Annotated[int, msgspec.Meta(ge=0, le=2**53, description="a number of the drop copy")] | None = None


class DropCopyUnsubscribe(ClientFrame, frozen=True, kw_only=True, tag="drop_copy.unsubscribe"):
    """No more of it."""


AnyDeadManFrame = DeadManArm | DeadManRefresh | DeadManDisarm
AnyCommandFrame = Place | Cancel | Replace | PlaceGroup | CancelGroup
AnyClientFrame = (
    Authenticate
    | Refresh
    | Ping
    | Subscribe
    | Unsubscribe
    | DropCopySubscribe
    | DropCopyUnsubscribe
    | AnyCommandFrame
    | AnyDeadManFrame
)

decoder: Final[msgspec.json.Decoder[AnyClientFrame]] = msgspec.json.Decoder(AnyClientFrame)
encode: Final = msgspec.json.Encoder().encode


class _CommandId(msgspec.Struct):
    """What a command is known by, whatever else is wrong with it."""

    type: Literal["place", "cancel", "replace", "place_group", "cancel_group"]
    id: FrameId


_command_id_decoder: Final = msgspec.json.Decoder(_CommandId)


def command_id(text: bytes) -> str | None:
    """The id of a frame that is a command and could not be read; None of anything else."""
    try:
        return _command_id_decoder.decode(text).id
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def welcome(env: str, session: str, heartbeat_s: float, authenticated: bool) -> bytes:
    return encode(
        {
            "type": "welcome",
            "env": env,
            "session": session,
            "heartbeat_s": heartbeat_s,
            "authenticated": authenticated,
        }
    )


def authenticated(principal: Principal, frame_id: str | None) -> bytes:
    return encode(
        {
            "type": "authenticated",
            **_id(frame_id),
            "client_id": principal.client_id,
            "scopes": sorted(principal.scopes),
            "accounts": sorted(principal.accounts),
            "expires_at": principal.expires_at,
        }
    )


def dead_man(told: Mapping[str, object], frame_id: str | None) -> bytes:
    """A session's dead man's switch as it is now."""
    return encode({"type": "dead_man", **_id(frame_id), **told})


def pong(frame_id: str | None) -> bytes:
    return encode({"type": "pong", **_id(frame_id)})


def subscribed(
    account: str,
    channels: Iterable[Channel],
    *,
    stream_id: str,
    seq: int,
    frame_id: str | None,
    resumed: bool,
) -> bytes:
    """Events follow whose sequence numbers are greater than `seq`."""
    return encode(
        {
            "type": "subscribed",
            **_id(frame_id),
            "account_id": account,
            "channels": list(channels),
            "stream_id": stream_id,
            "seq": seq,
            "resumed": resumed,
        }
    )


def subscribed_use(account: str, frame_id: str | None) -> bytes:
    """To how much of its limits an account uses, and to nothing that has a number."""
    return encode({"type": "subscribed", **_id(frame_id), "account_id": account, "channels": ["risk"]})


def risk(body: bytes) -> bytes:
    """How much of its limits an account uses now."""
    return b'{"type":"risk",' + body[1:]


def subscribed_prices(channel: str, symbols: Iterable[str], frame_id: str | None) -> bytes:
    return encode({"type": "subscribed", **_id(frame_id), "channel": channel, "symbols": sorted(symbols)})


def subscribed_copy(after: int, frame_id: str | None) -> bytes:
    """To the drop copy: entries follow whose numbers are greater."""
    return encode({"type": "subscribed", **_id(frame_id), "channel": "drop_copy", "after": after})


def copy(number: int, prev_number: int, told_at: datetime, event: bytes) -> bytes:
    """One entry of the drop copy, with the number of the one before it on this subscription."""
    return b'{"type":"drop_copy","prev_number":%d,"number":%d,"told_at":%b,"event":%b}' % (
        prev_number,
        number,
        encode(told_at),
        event,
    )


def unsubscribed(what: Mapping[str, object], frame_id: str | None) -> bytes:
    return encode({"type": "unsubscribed", **_id(frame_id), **what})


def reset(
    account: str,
    *,
    stream_id: str,
    as_of_seq: int,
    orders: Iterable[bytes],
    positions: Iterable[bytes],
    balances: Iterable[bytes],
) -> bytes:
    """Forget what you knew: this is the account as of one moment, and events go on from there."""
    return b'{"type":"reset","account_id":%b,"stream_id":%b,"as_of_seq":%d,"snapshot":{%b,%b,%b}}' % (
        encode(account),
        encode(stream_id),
        as_of_seq,
        b'"orders":[%b]' % b",".join(orders),
        b'"positions":[%b]' % b",".join(positions),
        b'"balances":[%b]' % b",".join(balances),
    )


def event(frame: bytes, prev_seq: int) -> bytes:
    """A stored event's frame, with the sequence number that came before it on this subscription."""
    return b'{"prev_seq":%d,' % prev_seq + frame[1:]


def heartbeat(last_seq: Mapping[str, int]) -> bytes:
    return encode({"type": "heartbeat", "last_seq": last_seq})


def state_hash(account: str, seq: int, digest: str) -> bytes:
    return encode({"type": "state_hash", "account_id": account, "seq": seq, "hash": digest})


def answer(frame_id: str, status: int, order: bytes, replayed: bool) -> bytes:
    """A command's good end. The order's JSON is spliced in as it is stored."""
    mark = b',"replayed":true' if replayed else b""
    return b'{"type":"answer","id":%b,"status":%d%b,"order":%b}' % (encode(frame_id), status, mark, order)


def answer_of_group(frame_id: str, status: int, group: bytes, replayed: bool) -> bytes:
    """The same about a group of orders."""
    mark = b',"replayed":true' if replayed else b""
    return b'{"type":"answer","id":%b,"status":%d%b,"group":%b}' % (encode(frame_id), status, mark, group)


def answer_problem(frame_id: str, told: Problem, replayed: bool = False) -> bytes:
    mark = b',"replayed":true' if replayed else b""
    return b'{"type":"answer","id":%b,"status":%d%b,"problem":%b}' % (
        encode(frame_id),
        told.status,
        mark,
        encode(told),
    )


def error(refusal: Refusal, frame_id: str | None = None, nonce: str | None = None) -> bytes:
    """`nonce` is what the next proof must contain."""
    told: dict[str, object] = {
        "type": "error",
        **_id(frame_id),
        "code": refusal.code,
        "detail": refusal.detail,
    }
    if nonce is not None:
        told["dpop_nonce"] = nonce
    if (wait := retry_after_s(refusal)) is not None:
        told["retry_after_s"] = wait
    if refusal.fields:
        told["errors"] = [FieldError(name, message) for name, message in refusal.fields.items()]
    return encode(told)


def busy(in_flight: int) -> Refusal:
    return Refusal(Code.RATE_LIMITED, f"{in_flight} commands of this session are unanswered; wait for one")


def _id(frame_id: str | None) -> dict[str, str]:
    return {} if frame_id is None else {"id": frame_id}

"""The conversation with one client, as a machine without a socket: frames and time in, actions out.

It decides what a frame means, whether this client may ask for it now, and what is said at once.
Whoever drives it carries the actions out: sends, asks the gate, joins feeds, closes. It never does
I/O, never waits, and never reads a clock.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from typing import Final, TypeVar, assert_never

import msgspec

from ordergate.api import problems
from ordergate.api.group_requests import group_of
from ordergate.api.json_bodies import decode
from ordergate.api.quotas import too_soon
from ordergate.api.requests import changes_of, terms_of
from ordergate.api.stream import frames
from ordergate.api.stream.actions import (
    Action,
    Actions,
    Asked,
    CancelAsked,
    CancelGroupAsked,
    Close,
    Command,
    DeadManAsked,
    FollowCopy,
    Join,
    Leave,
    LeaveCopy,
    Limits,
    Login,
    ReplaceAsked,
    Send,
    Unwatch,
    Watch,
)
from ordergate.api.stream.channels import Channel
from ordergate.api.stream.pace import Charge, Pace, takes_back
from ordergate.core.access import Principal, Scope
from ordergate.core.contingent.terms import GroupId
from ordergate.core.idempotency import parse_key
from ordergate.core.ids import AccountId, Env, OrderId, is_order_id
from ordergate.core.refusals import Code, Refusal

F = TypeVar("F", bound=frames.AnyCommandFrame)

STRIKES_MAX: Final = 3

PROTOCOL_ERROR: Final = 4000
NOT_AUTHENTICATED: Final = 4001
FORBIDDEN: Final = 4003
SLOW_CONSUMER: Final = 4008
TOO_BIG: Final = 1009

_SCOPE_OF: Final[Mapping[Channel, Scope]] = {
    Channel.ORDERS: Scope.ORDERS_READ,
    Channel.EXECUTIONS: Scope.ORDERS_READ,
    Channel.POSITIONS: Scope.ACCOUNTS_READ,
    Channel.BALANCES: Scope.ACCOUNTS_READ,
    Channel.ACCOUNT: Scope.ACCOUNTS_READ,
    Channel.RISK: Scope.RISK_READ,
}


class Session:
    """`principal` is None until a token was accepted; nothing but a token is listened to before."""

    def __init__(
        self,
        *,
        env: Env,
        name: str,
        limits: Limits,
        symbols: Container[str],
        charge: Charge,
        opened_at: float,
    ) -> None:
        self.principal: Principal | None = None
        self.closed = False
        self.channels: dict[AccountId, tuple[Channel, ...]] = {}
        self.watched: dict[str, set[str]] = {"quotes": set(), "trades": set()}
        self.copied = False
        self._env = env
        self._name = name
        self._limits = limits
        self._symbols = symbols
        self._opened_at = opened_at
        self._pace = Pace(limits.messages, charge, opened_at)
        self._strikes = 0
        self._in_flight = 0
        self._commands = 0

    # What happens to a session

    def opened(self, principal: Principal | None) -> Actions:
        """The socket is open; `principal` when a token came with the request for it."""
        hello = frames.welcome(self._env.value, self._name, self._limits.heartbeat_s, principal is not None)
        if principal is None:
            return [Send(hello)]
        self.principal = principal
        return [Send(hello), Send(frames.authenticated(principal, None))]

    def received(self, text: bytes, now: float) -> Actions:
        """One message of the client's."""
        if self.closed:
            return []
        if wait_s := self._pace.wait_to_read_s(text, now):
            return [_error(too_soon(wait_s, _TOO_FAST), _id_of(text))]
        frame = decode(text, frames.decoder)
        if isinstance(frame, Refusal):
            return self._not_understood(frame, text, now)
        if isinstance(frame, frames.Ping):
            return [Send(frames.pong(frame.id))]
        if isinstance(frame, frames.Authenticate):
            return self._authenticate(frame)
        if self.principal is None:
            return self._strike(_LOG_IN_FIRST, frame.id)
        wait_s = self._pace.wait_s(frame, self.principal, now)
        return [self._over(frame, wait_s)] if wait_s else self._understood(frame, self.principal)

    def logged_in(
        self, found: Principal | Refusal, frame_id: str | None, nonce: str | None = None
    ) -> Actions:
        """The answer to a Login. `nonce` is for a proof that has to be made again."""
        if isinstance(found, Refusal) and found.code is Code.PROOF_NONCE:
            return [Send(frames.error(found, frame_id, nonce), found.code)]
        before = self.principal
        if isinstance(found, Refusal):
            no = _error(found, frame_id)
            stays = before is not None and found.code in _PASSING  # the token that it has says how long
            return [no] if stays else [no, *self._close(NOT_AUTHENTICATED, found.code)]
        if before is not None and (before.tenant, before.client_id) != (found.tenant, found.client_id):
            return self._close(FORBIDDEN, "the token is of another client")
        self.principal = found
        return [Send(frames.authenticated(found, frame_id)), *self._drop_what_is_lost(found)]

    def answered(self) -> None:
        """A Command has been answered."""
        self._in_flight -= 1

    def ticked(self, now: float, last_seq: Mapping[str, int]) -> Actions:
        """A heartbeat's time has passed. `last_seq` is what each subscription was last told."""
        if self.closed:
            return []
        if self.principal is None and now - self._opened_at >= self._limits.login_s:
            return self._close(NOT_AUTHENTICATED, "no token came in time")
        return [Send(frames.heartbeat(last_seq))]

    def revoked(self) -> Actions:
        """The token has expired or was revoked."""
        return self._close(NOT_AUTHENTICATED, "the token has expired or was revoked")

    def failed(self, code: int, reason: str) -> Actions:
        """The socket's driver cannot go on."""
        return self._close(code, reason)

    # What a frame means

    def _understood(self, frame: frames.AnyClientFrame, principal: Principal) -> Actions:
        match frame:
            case frames.Place() | frames.Cancel() | frames.Replace():
                return self._command(frame, self._asked, frame.wait_s)
            case frames.PlaceGroup() | frames.CancelGroup():
                return self._command(frame, self._asked_of_group)
            case frames.DeadManArm() | frames.DeadManRefresh() | frames.DeadManDisarm():
                return self._dead_man(frame)
            case frames.Subscribe():
                return self._subscribe(frame, principal)
            case frames.Unsubscribe():
                return self._unsubscribe(frame)
            case frames.DropCopySubscribe():
                return self._follow_copy(frame, principal)
            case frames.DropCopyUnsubscribe():
                self.copied = False
                return [LeaveCopy(), Send(frames.unsubscribed({"channel": "drop_copy"}, frame.id))]
            case frames.Refresh():
                return self._log_in(frame)
            case frames.Authenticate() | frames.Ping():
                return []
            case _:
                assert_never(frame)

    def _authenticate(self, frame: frames.Authenticate) -> Actions:
        if self.principal is not None:
            return self._strike(Refusal(Code.INVALID, "this session has a token; use auth.refresh"), frame.id)
        return self._log_in(frame)

    def _log_in(self, frame: frames.LoginFrame) -> Actions:
        if not frame.is_whole:
            return self._strike(_LOGIN_SHAPE, frame.id)
        return [Login(token=frame.token, dpop=frame.dpop, ticket=frame.ticket, frame_id=frame.id)]

    def _command(self, frame: F, asked_by: Callable[[F], Asked | Refusal], wait_s: int = 0) -> Actions:
        if self._is_busy(frame):
            return [self._refused(frame.id, frames.busy(self._in_flight))]
        key = parse_key(frame.idempotency_key)
        if isinstance(key, Refusal):
            return [self._refused(frame.id, key)]
        asked = asked_by(frame)
        if isinstance(asked, Refusal):
            return [self._refused(frame.id, asked)]
        self._in_flight += 1
        command = Command(
            frame_id=frame.id, key=key, correlation=self._correlation(), wait_s=wait_s, asked=asked
        )
        return [command]

    def _dead_man(self, frame: frames.AnyDeadManFrame) -> Actions:
        if self._is_busy(frame):
            return [_error(frames.busy(self._in_flight), frame.id)]
        self._in_flight += 1
        return [DeadManAsked(frame=frame, correlation=self._correlation())]

    def _is_busy(self, frame: frames.AnyClientFrame) -> bool:
        """Whether too much is unanswered. What takes back finds as much room again."""
        room = self._limits.commands_in_flight_max
        return self._in_flight >= room and (not takes_back(frame) or self._in_flight >= 2 * room)

    def _asked_of_group(self, frame: frames.PlaceGroup | frames.CancelGroup) -> Asked | Refusal:
        if isinstance(frame, frames.PlaceGroup):
            return group_of(frame.group)
        return CancelGroupAsked(GroupId(frame.group_id))

    def _asked(self, frame: frames.Place | frames.Cancel | frames.Replace) -> Asked | Refusal:
        if isinstance(frame, frames.Place):
            return terms_of(frame.order)
        if not is_order_id(self._env, frame.order_id):
            return Refusal(Code.NOT_FOUND, "there is no such order")
        order_id = OrderId(frame.order_id)
        if isinstance(frame, frames.Cancel):
            return CancelAsked(order_id, frame.if_revision)
        changes = changes_of(frame.quantity, frame.limit_price, frame.stop_price)
        if isinstance(changes, Refusal):
            return changes
        return ReplaceAsked(order_id, changes, frame.if_revision)

    def _subscribe(self, frame: frames.Subscribe, principal: Principal) -> Actions:
        of_account = frame.account_id is not None and frame.channels is not None
        of_prices = frame.channel is not None and frame.symbols is not None
        given = (frame.account_id, frame.channels, frame.resume, frame.channel, frame.symbols)
        if of_account and given[3:] == (None, None):
            return self._follow(frame, principal)
        if of_prices and given[:3] == (None, None, None):
            return self._watch(frame, principal)
        return self._strike(_SUBSCRIBE_SHAPE, frame.id)

    def _follow(self, frame: frames.Subscribe, principal: Principal) -> Actions:
        account = AccountId(frame.account_id or "")
        channels = tuple(dict.fromkeys(frame.channels or ()))
        no = _may_follow(principal, account, channels)
        if no is None and len({*self.channels, account}) > self._limits.subscriptions_max:
            no = Refusal(Code.TOO_LARGE, f"at most {self._limits.subscriptions_max} accounts at once")
        if no is not None:
            return [_error(no, frame.id)]
        if channels == (Channel.RISK,) and frame.resume is not None:
            return [_error(_NOTHING_TO_RESUME, frame.id)]
        self.channels[account] = channels
        if channels == (Channel.RISK,):
            return [Leave(account), Send(frames.subscribed_use(account, frame.id))]
        return [Join(account=account, channels=channels, resume=frame.resume, frame_id=frame.id)]

    def _watch(self, frame: frames.Subscribe, principal: Principal) -> Actions:
        channel = str(frame.channel)
        symbols = tuple(dict.fromkeys(frame.symbols or ()))
        watched = self.watched[channel]
        unlisted = [symbol for symbol in symbols if symbol not in self._symbols]
        no = None
        if not principal.may(Scope.MARKET_DATA_READ):
            no = Refusal(Code.FORBIDDEN, f"the token lacks the scope {Scope.MARKET_DATA_READ}")
        elif unlisted:
            no = Refusal(Code.UNKNOWN_INSTRUMENT, f"not listed here: {', '.join(unlisted)}")
        elif len(watched.union(symbols)) > self._limits.symbols_max:
            no = Refusal(Code.TOO_LARGE, f"at most {self._limits.symbols_max} symbols at once")
        if no is not None:
            return [_error(no, frame.id)]
        watched.update(symbols)
        return [Send(frames.subscribed_prices(channel, watched, frame.id)), Watch(channel, symbols)]

    def _unsubscribe(self, frame: frames.Unsubscribe) -> Actions:
        """Leaving what was not joined is no error: the client ends up where it wants to be."""
        if frame.account_id is not None and frame.channel is None and frame.symbols is None:
            account = AccountId(frame.account_id)
            self.channels.pop(account, None)
            done = frames.unsubscribed({"account_id": account}, frame.id)
            return [Leave(account), Send(done)]
        if frame.account_id is None and frame.channel is not None and frame.symbols is not None:
            symbols = tuple(self.watched[frame.channel].intersection(frame.symbols))
            self.watched[frame.channel].difference_update(symbols)
            done = frames.unsubscribed({"channel": frame.channel, "symbols": sorted(symbols)}, frame.id)
            return [Unwatch(frame.channel, symbols), Send(done)]
        return self._strike(_UNSUBSCRIBE_SHAPE, frame.id)

    def _follow_copy(self, frame: frames.DropCopySubscribe, principal: Principal) -> Actions:
        if not principal.may(Scope.SURVEILLANCE_READ):
            return [_error(_NO_SURVEILLANCE, frame.id)]
        self.copied = True
        return [FollowCopy(after=frame.after, frame_id=frame.id)]

    # Inside

    def _drop_what_is_lost(self, principal: Principal) -> Actions:
        """A new token may allow less than the one before."""
        actions: list[Action] = []
        for account, channels in list(self.channels.items()):
            no = _may_follow(principal, account, channels)
            if no is not None:
                del self.channels[account]
                lost = Refusal(no.code, f"the new token does not allow this subscription to {account}")
                actions += [Leave(account), _error(lost, None)]
        if self.copied and not principal.may(Scope.SURVEILLANCE_READ):
            self.copied = False
            actions += [LeaveCopy(), _error(_NO_SURVEILLANCE, None)]
        if not principal.may(Scope.MARKET_DATA_READ):
            for channel, watched in self.watched.items():
                if watched:
                    lost = Refusal(Code.FORBIDDEN, f"the new token does not allow {channel}")
                    actions += [Unwatch(channel, tuple(watched)), _error(lost, None)]
                    watched.clear()
        return actions

    def _over(self, frame: frames.AnyClientFrame, wait_s: float) -> Send:
        no = too_soon(wait_s)
        if isinstance(frame, frames.CommandFrame | frames.GroupFrame):
            return self._refused(frame.id, no)
        return _error(no, frame.id)

    def _refused(self, frame_id: str, refusal: Refusal) -> Send:
        told = problems.problem(refusal, self._correlation())
        return Send(frames.answer_problem(frame_id, told), refusal.code)

    def _not_understood(self, refusal: Refusal, text: bytes, now: float) -> Actions:
        """A command with a mistake in it is charged and answered, as by REST: people mistype orders."""
        asked = None if self.principal is None else frames.command_id(text)
        if self.principal is None or asked is None:
            return self._strike(refusal, _id_of(text))
        wait_s = self._pace.wait_s_mistyped(text, self.principal, now)
        return [self._refused(asked, too_soon(wait_s) if wait_s else refusal)]

    def _strike(self, refusal: Refusal, frame_id: str | None) -> Actions:
        """A frame that no correct client sends. The third one ends the session."""
        self._strikes += 1
        told = _error(refusal, frame_id)
        if self._strikes < STRIKES_MAX:
            return [told]
        return [told, *self._close(PROTOCOL_ERROR, "too many frames that mean nothing")]

    def _close(self, code: int, reason: str) -> Actions:
        if self.closed:
            return []
        self.closed = True
        return [Close(code, reason)]

    def _correlation(self) -> str:
        self._commands += 1
        return f"{self._name}-{self._commands}"


def _may_follow(principal: Principal, account: AccountId, channels: Sequence[Channel]) -> Refusal | None:
    for channel in channels:
        scope = _SCOPE_OF[channel]
        if not principal.may(scope):
            return Refusal(Code.FORBIDDEN, f"the token lacks the scope {scope}")
        if not principal.may_on(scope, account):
            return Refusal(Code.NOT_FOUND, "there is no such account")
    if account not in principal.accounts:
        return Refusal(Code.NOT_FOUND, "there is no such account")
    return None


def _error(refusal: Refusal, frame_id: str | None) -> Send:
    return Send(frames.error(refusal, frame_id), refusal.code)


class _Id(msgspec.Struct):
    id: str


_id_decoder: Final = msgspec.json.Decoder(_Id)


def _id_of(text: bytes) -> str | None:
    """The id of a frame that is not understood otherwise, so that its sender can tell which it was."""
    try:
        found = _id_decoder.decode(text).id
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return found if len(found) <= 64 else None


_PASSING: Final = frozenset({Code.RATE_LIMITED, Code.UNAVAILABLE})
"""Say nothing of a token, only that it cannot be looked at now."""

_TOO_FAST: Final = "too many frames"
_LOG_IN_FIRST: Final = Refusal(Code.UNAUTHENTICATED, "send an authenticate frame first")
_LOGIN_SHAPE: Final = Refusal(Code.INVALID, "give token (and dpop, where it is bound to a key), or ticket")
_SUBSCRIBE_SHAPE: Final = Refusal(
    Code.INVALID, "give account_id and channels (and resume), or channel and symbols"
)
_NO_SURVEILLANCE: Final = Refusal(Code.FORBIDDEN, f"the token lacks the scope {Scope.SURVEILLANCE_READ}")
_NOTHING_TO_RESUME: Final = Refusal(Code.INVALID, "the channel risk has no events to resume")
_UNSUBSCRIBE_SHAPE: Final = Refusal(Code.INVALID, "give account_id, or channel and symbols")

"""One client's socket: reads frames, carries out what the session decides, and writes what waits.

Writing is never waited for: what the outbox holds is written in one piece when the loop comes round,
and a client that does not read is closed. Before anything is written the token must still stand.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, Protocol

from starlette.types import Message, Receive

from ordergate.api.deps import Deps
from ordergate.api.measures import Measures
from ordergate.api.stream import frames, session
from ordergate.api.stream.actions import (
    Action,
    Actions,
    Close,
    Command,
    DeadManAsked,
    FollowCopy,
    Join,
    Leave,
    LeaveCopy,
    Login,
    Send,
    Unwatch,
    Watch,
)
from ordergate.api.stream.channels import Channel
from ordergate.api.stream.commands import answer_to, answer_to_defect, told
from ordergate.api.stream.dead_man import DeadManOfStream
from ordergate.api.stream.drop_copy import DropCopyOfStream
from ordergate.api.stream.feed import Subscriber
from ordergate.api.stream.guest import Guest
from ordergate.api.stream.hub import GOING_AWAY, CannotFollow, Hub, subscriber_of
from ordergate.api.stream.outbox import Outbox
from ordergate.api.stream.prices import tell_latest
from ordergate.api.stream.session import Session
from ordergate.api.stream.wire import framed
from ordergate.core.access import Principal
from ordergate.core.faults import Fault
from ordergate.core.ids import AccountId
from ordergate.core.orders.terms import Terms
from ordergate.core.refusals import Code, Refusal
from ordergate.engine.answering.answers import Answer
from ordergate.telemetry.log import bind, logger, unbind

log = logger("stream")

SERVER_FAULT: Final = 1011


class Socket(Protocol):
    """What `protocols.FramedWebSocket` gives to the application."""

    @property
    def is_backed_up(self) -> bool: ...
    @property
    def unsent(self) -> int: ...

    on_text: Callable[[bytes], None] | None

    def write_frames(self, frames: bytes) -> None: ...
    def close_now(self, code: int, reason: str) -> None: ...


class Connection:
    def __init__(
        self,
        deps: Deps,
        hub: Hub,
        conversation: Session,
        socket: Socket,
        *,
        guest: Guest,
        measures: Measures,
        commands: set[asyncio.Task[Send]],
    ) -> None:
        self._deps = deps
        self._hub = hub
        self._guest = guest
        self._measures = measures
        self._session = conversation
        self._socket = socket
        self._commands = commands
        self._loop = asyncio.get_running_loop()
        self._outbox = Outbox(
            messages_max=deps.bounds.stream_queue_messages_max,
            bytes_max=deps.bounds.stream_queue_bytes_max,
            wake=self._wake,
            is_behind=lambda: socket.is_backed_up,
        )
        self._dead_man = DeadManOfStream(deps.dead_man)
        self._drop_copy = DropCopyOfStream(
            deps.drop_copy, self._outbox, deps.clock, principal=self._asking, tell=self._do
        )
        self._following: dict[AccountId, tuple[Subscriber, asyncio.Task[None]]] = {}
        self._use_told: dict[AccountId, bytes] = {}
        self._unsent = 0
        self._has_read = True
        self._read_at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._login: asyncio.Task[None] | None = None
        self._unread: bytes | None = None

    async def run(self, receive: Receive, principal: Principal | None) -> None:
        """Until either side closes."""
        self._hub.add(self)
        self._timer = self._loop.call_later(self._deps.bounds.heartbeat_s, self._tick)
        try:
            self._do_all(self._session.opened(principal))
            self._socket.on_text = self._take
            while not self._session.closed:
                # Nearly every frame goes to `_take` as it arrives; what cannot is waited for here.
                # A client may be silent for as long as it likes: heartbeats and pings find the dead.
                message = await receive()
                if message["type"] != "websocket.receive":
                    break
                await self._read(message)
        finally:
            self._end()

    def follows(self, account: str) -> bool:
        return account in self._following

    def _asking(self) -> Principal | None:
        return self._session.principal

    def close(self, code: int, reason: str) -> None:
        if code == GOING_AWAY:
            self._dead_man.forget()
        self._do_all(self._session.failed(code, reason))

    # Reading

    async def _read(self, message: Message) -> None:
        text: str | None = message.get("text")
        if text is None:
            self._measures.received.inc()
            self.close(session.PROTOCOL_ERROR, "frames are text")
        elif self._login is None:
            self._take(text.encode())
        else:
            self._unread = text.encode()
            await asyncio.wait((self._login,))

    def _take(self, text: bytes) -> None:
        """One message, as it arrives: nothing of it is waited for but a login."""
        self._measures.received.inc()
        if len(text) > self._deps.bounds.body_bytes_max:
            self.close(session.TOO_BIG, "the frame is too big")
        elif self._token_stands():
            for action in self._session.received(text, self._deps.clock.monotonic()):
                if isinstance(action, Login):
                    self._begin_login(action)
                else:
                    self._do(action)

    def _begin_login(self, action: Login) -> None:
        """The frames after it wait, the first one here and the others in the socket's queue, to be read by

        whom it makes known.
        """
        self._socket.on_text = None
        self._login = asyncio.create_task(self._log_in(action))
        self._login.add_done_callback(self._logged_in)

    async def _log_in(self, action: Login) -> None:
        found = await self._guest.log_in(action)
        self._do_all(self._session.logged_in(found, action.frame_id, self._guest.nonce()))

    def _logged_in(self, done: asyncio.Task[None]) -> None:
        self._login = None
        if done.cancelled() or self._session.closed:
            return
        fault = done.exception()
        if fault is not None:
            self._defect(fault)
            return
        unread, self._unread = self._unread, None
        if unread is not None:
            self._take(unread)
        if self._login is None:
            self._socket.on_text = self._take

    def _token_stands(self) -> bool:
        principal = self._session.principal
        if principal is None or self._deps.identity.still_valid(principal):
            return True
        self._do_all(self._session.revoked())
        return False

    def _do_all(self, actions: Actions) -> None:
        for action in actions:
            self._do(action)

    def _do(self, action: Action) -> None:
        match action:
            case Send():
                self._outbox.push(framed(action.payload))
                if action.refused is not None:
                    self._deps.metrics.refused(action.refused)
            case Command() | DeadManAsked():
                bound = bind(action.correlation)
                try:
                    self._ask(action) if isinstance(action, Command) else self._ask_dead_man(action)
                finally:
                    unbind(bound)
            case Join():
                self._join(action)
            case Leave():
                self._leave(action.account)
            case FollowCopy():
                self._drop_copy.follow(action, self._defect)
            case LeaveCopy():
                self._drop_copy.leave()
            case Watch():
                self._hub.watch(self._outbox, action.channel, action.symbols)
                tell_latest(self._deps.prices, self._outbox, action.channel, action.symbols)
            case Unwatch():
                self._hub.unwatch(self._outbox, action.channel, action.symbols)
            case Close():
                self._close(action)
            case _:
                raise AssertionError(f"{type(action).__name__} is not done here")

    # Commands

    def _ask(self, command: Command) -> None:
        """In the background: neither a disk nor a broker may hold up the next frame."""
        principal = self._session.principal
        if principal is None:
            return
        asked = command.asked
        if command.wait_s or not isinstance(asked, Terms):
            self._ask_in_task(command, principal)
            return

        def tell(answer: Answer | Refusal | None) -> None:
            if answer is None:
                self._ask_in_task(command, principal)
            else:
                self._answer(told(command, answer))

        gate = self._deps.gate
        if not gate.place_now(principal, asked, key=command.key, correlation=command.correlation, tell=tell):
            self._ask_in_task(command, principal)

    def _ask_in_task(self, command: Command, principal: Principal) -> None:
        task = asyncio.create_task(answer_to(self._deps, principal, command))
        self._commands.add(task)
        task.add_done_callback(lambda done: self._answered(command, done))

    def _ask_dead_man(self, asked: DeadManAsked) -> None:
        principal = self._session.principal
        if principal is None:
            return
        task = asyncio.create_task(self._dead_man.answer_to(principal, asked))
        self._commands.add(task)
        task.add_done_callback(self._dead_man_answered)

    def _dead_man_answered(self, done: asyncio.Task[Send]) -> None:
        self._commands.discard(done)
        fault = None if done.cancelled() else done.exception()
        if fault is not None:
            self._defect(fault)
        elif not done.cancelled():
            self._answer(done.result())

    def _answered(self, command: Command, done: asyncio.Task[Send]) -> None:
        self._commands.discard(done)
        if done.cancelled():
            self._session.answered()
            return
        fault = done.exception()
        if fault is not None:
            log.error("stream.fault", correlation_id=command.correlation, exc_info=fault)
            self._measures.faults.inc()
        self._answer(done.result() if fault is None else answer_to_defect(command))

    def _answer(self, answer: Send) -> None:
        self._session.answered()
        if not self._session.closed:
            self._do(answer)

    # Accounts

    def _join(self, action: Join) -> None:
        self._leave(action.account)
        principal = self._session.principal
        if principal is None:
            return
        subscriber = subscriber_of(action.channels, self._outbox)
        task = asyncio.create_task(
            self._hub.follow(
                action.account,
                subscriber,
                self._outbox,
                seen=self._deps.views.seen_by(principal.tenant, principal.accounts),
                channels=action.channels,
                resume=action.resume,
                frame_id=action.frame_id,
            )
        )
        self._following[action.account] = (subscriber, task)
        task.add_done_callback(lambda done: self._joined(action, done))

    def _joined(self, action: Join, done: asyncio.Task[None]) -> None:
        fault = None if done.cancelled() else done.exception()
        if fault is None:
            return
        if not isinstance(fault, CannotFollow | Fault | TimeoutError):
            self._defect(fault)
        elif self._following.get(action.account, (None, None))[1] is done:
            self._leave(action.account)
            self._session.channels.pop(action.account, None)
            no = Refusal(Code.UNAVAILABLE, f"{action.account} cannot be followed now; subscribe again")
            self._do(Send(frames.error(no, action.frame_id), no.code))

    def _defect(self, fault: BaseException) -> None:
        log.error("stream.fault", exc_info=fault)
        self._measures.faults.inc()
        self.close(SERVER_FAULT, "a defect of the gateway")

    def _leave(self, account: AccountId) -> None:
        self._use_told.pop(account, None)
        found = self._following.pop(account, None)
        if found is not None:
            subscriber, task = found
            task.cancel()
            self._hub.leave(account, subscriber)

    # Time

    def _tick(self) -> None:
        if self._session.closed:
            return
        now = self._deps.clock.monotonic()
        self._timer = self._loop.call_later(self._deps.bounds.heartbeat_s, self._tick)
        self._hub.tick(now)
        if self._is_stuck(now):
            self.close(session.SLOW_CONSUMER, "slow-consumer")
        elif self._token_stands():
            told: dict[str, int] = {
                account: subscriber.last_seq
                for account, (subscriber, _) in self._following.items()
                if subscriber.has_begun
            }
            self._do_all(self._session.ticked(now, told))
            self._tell_use()

    def _tell_use(self) -> None:
        """To those who follow it: how much of its limits an account uses, where that has changed."""
        for account, channels in self._session.channels.items():
            body = self._deps.limits.use_of(account) if Channel.RISK in channels else None
            if body is not None and self._use_told.get(account) != body:
                self._use_told[account] = body
                self._outbox.push_quote(f"risk {account}", framed(frames.risk(body)))

    def _is_stuck(self, now: float) -> bool:
        """The client has read nothing for longer than any healthy one takes."""
        unsent = self._socket.unsent
        if self._has_read or unsent < self._unsent or not self._socket.is_backed_up:
            self._has_read, self._read_at = False, now
        self._unsent = unsent
        return now - self._read_at > self._deps.bounds.stream_send_timeout_s

    # Writing

    def _wake(self, now: bool) -> None:
        if now:
            self.flush()
        else:
            self._loop.call_soon(self.flush)

    def flush(self) -> None:
        """Write what waits, unless the client is behind: then the socket calls again."""
        if self._session.closed:
            return
        if self._outbox.overflowed:
            self.close(session.SLOW_CONSUMER, "slow-consumer")
        elif not self._socket.is_backed_up and self._token_stands():
            self._write()

    def _write(self) -> None:
        self._has_read = True
        waiting = self._outbox.take()
        if waiting:
            self._socket.write_frames(b"".join(waiting))
            self._measures.sent.inc(len(waiting))

    def _close(self, action: Close) -> None:
        """What was said before the close still goes out, when the client reads and may hear it."""
        principal = self._session.principal
        may_hear = principal is None or self._deps.identity.still_valid(principal)
        if may_hear and not (self._outbox.overflowed or self._socket.is_backed_up):
            self._write()
        self._measures.closed(action.code)
        self._outbox.close()
        self._socket.close_now(action.code, action.reason)

    def _end(self) -> None:
        self._session.closed = True
        self._dead_man.disconnected()
        self._drop_copy.leave()
        self._socket.on_text = None
        if self._login is not None:
            self._login.cancel()
        if self._timer is not None:
            self._timer.cancel()
        for account in list(self._following):
            self._leave(account)
        for channel, symbols in self._session.watched.items():
            self._hub.unwatch(self._outbox, channel, symbols)
        self._outbox.close()
        self._hub.remove(self)

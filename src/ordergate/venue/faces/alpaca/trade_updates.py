"""The trade updates stream: authenticate, listen, and hear everything that happens to one's orders.

Updates are never dropped. A client too slow for its bounded queue is closed, and asks again by REST.
"""

from collections import deque
from typing import Final

from msgspec import Struct

from ordergate.venue.faces.alpaca.access import Doorkeeper
from ordergate.venue.faces.alpaca.codec import Codec
from ordergate.venue.faces.alpaca.conversation import POLICY_VIOLATION, Outbox, Saying
from ordergate.venue.faces.alpaca.translate import update_frame
from ordergate.venue.words import AssetClass, OrderUpdated

TRADE_UPDATES: Final = "trade_updates"


class _ClientData(Struct, frozen=True):
    key_id: str = ""
    secret_key: str = ""
    oauth_token: str = ""
    streams: list[str] = []


class _ClientFrame(Struct):
    """Both documented forms of authentication, and `listen`."""

    action: str
    data: _ClientData = _ClientData()
    key: str = ""
    secret: str = ""


class UpdatesOutbox(Outbox):
    """Answers, and updates in the order they happened."""

    def __init__(self, updates_max: int) -> None:
        super().__init__()
        self._updates: deque[bytes] = deque()
        self._updates_max = updates_max

    def update(self, frame: bytes) -> None:
        if self.ended is not None:
            return
        if len(self._updates) >= self._updates_max:
            self.end(POLICY_VIOLATION, "slow client")
            return
        self._updates.append(frame)
        self.ready.set()

    def take(self) -> list[Saying]:
        sayings = super().take()
        sayings.extend(Saying(frame, True) for frame in self._updates)
        self._updates.clear()
        return sayings


class UpdatesSession:
    """One client of the stream."""

    def __init__(self, doorkeeper: Doorkeeper, hub: "UpdatesHub", codec: Codec, updates_max: int) -> None:
        self.account: str | None = None
        self.opened_by = ""
        self.codec = codec
        self.updates = UpdatesOutbox(updates_max)
        self.outbox: Outbox = self.updates
        self._doorkeeper = doorkeeper
        self._hub = hub

    def opened(self) -> None:
        """The client speaks first."""

    def heard(self, data: bytes) -> None:
        frame = self.codec.decode(data, _ClientFrame)
        if frame is None:
            self._error(400, "invalid syntax")
        elif frame.action in ("authenticate", "auth"):
            self._authenticate(frame)
        elif frame.action == "listen":
            self._listen(frame.data.streams)
        else:
            self._error(400, "unknown action")

    def late(self) -> None:
        self._error(404, "auth timeout")
        self.outbox.end(POLICY_VIOLATION, "auth timeout")

    def _authenticate(self, frame: _ClientFrame) -> None:
        asked = frame.data
        token = asked.oauth_token or (frame.secret if frame.key == "oauth" else "")
        if token:
            account, self.opened_by = self._doorkeeper.by_token(token), token
        else:
            key = self.opened_by = asked.key_id or frame.key
            account = self._doorkeeper.by_key(key, asked.secret_key or frame.secret)
        if account != self.account:
            self._hub.leave(self)
            self.account = account
        self._authorization("authorized" if account else "unauthorized")

    def _listen(self, streams: list[str]) -> None:
        if self.account is None:
            self._authorization("unauthorized")
            return
        heard = [TRADE_UPDATES] if TRADE_UPDATES in streams else []
        self._answer({"stream": "listening", "data": {"streams": heard}})
        if heard:
            self._hub.join(self)
        else:
            self._hub.leave(self)

    def _authorization(self, status: str) -> None:
        self._answer({"stream": "authorization", "data": {"status": status, "action": "authenticate"}})

    def _error(self, code: int, message: str) -> None:
        self._answer({"stream": "error", "data": {"error_message": message, "code": code}})

    def _answer(self, frame: object) -> None:
        self.outbox.control(self.codec.encode(frame))


class UpdatesHub:
    """Carries each update to every session that listens for its account."""

    def __init__(self) -> None:
        self._sessions: dict[str, set[UpdatesSession]] = {}

    def join(self, session: UpdatesSession) -> None:
        if session.account is not None:
            self._sessions.setdefault(session.account, set()).add(session)

    def leave(self, session: UpdatesSession) -> None:
        if session.account is not None:
            self._sessions.get(session.account, set()).discard(session)

    def has_listener(self, account: str) -> bool:
        return bool(self._sessions.get(account))

    def publish(self, update: OrderUpdated, asset_class: AssetClass) -> None:
        sessions = self._sessions.get(update.order.account)
        if not sessions:
            return
        frame = update_frame(update, asset_class)
        encoded: dict[Codec, bytes] = {}
        for session in sessions:
            if session.codec not in encoded:
                encoded[session.codec] = session.codec.encode(frame)
            session.updates.update(encoded[session.codec])

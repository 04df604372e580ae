"""The trade updates stream, as a conversation: log in, listen, read.

Alpaca replays nothing. Whoever listens fetches what was missed whenever the stream comes up:
executions after the last cursor, open orders, and every order whose outcome is not known. A
frame that cannot be understood ends the link, so that its content is fetched like anything
else that was missed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, Generic, assert_never

from yarl import URL

from ordergate.brokers._shared.documents import UNREADABLE, NotOneDocument, check_document
from ordergate.brokers._shared.socket import Garbled, Link, LinkLost
from ordergate.brokers.alpaca import wire
from ordergate.brokers.alpaca.access import Access, Bearer, Keys
from ordergate.brokers.alpaca.translate import Contradiction, news, orders
from ordergate.core.ids import AccountId, E
from ordergate.core.orders.reports import OrderSnapshot
from ordergate.ports.broker import News

_LISTEN: Final = b'{"action":"listen","data":{"streams":["trade_updates"]}}'
_FRAME_S: Final = 10.0


class TradeUpdates(Generic[E]):
    """The conversation about one account's orders; see `_shared.socket.Conversation`."""

    def __init__(self, access: Access[E], account: AccountId) -> None:
        self.url: URL = access.trading_stream
        self._access: Access[E] = access
        self._account = account

    def use(self, access: Access[E]) -> None:
        """With other credentials, from the next link on."""
        self._access = access

    async def greet(self, link: Link) -> Sequence[bytes]:
        await link.send(_authenticate(self._access))
        authorization = _frame(await link.receive(_FRAME_S))
        if not isinstance(authorization, wire.AuthorizationFrame):
            raise Garbled("something else than an answer to the authentication")
        if authorization.data.status != "authorized":
            raise LinkLost("unauthorized")
        await link.send(_LISTEN)
        return await _until_listening(link)

    def probe(self) -> bytes:
        """Listening again changes nothing and is always confirmed."""
        return _LISTEN

    def read(self, frame: bytes) -> Iterable[News]:
        message = _frame(frame)
        match message:
            case wire.UpdateFrame(update):
                return self._news(update)
            case wire.ListeningFrame():
                _check_listening(message)
                return ()
            case wire.AuthorizationFrame():
                raise LinkLost("the authorization was taken back")
            case _:
                assert_never(message)

    def _news(self, update: wire.Update) -> tuple[News, ...]:
        try:
            report = news.report(update, self._access.env)
        except Contradiction as fault:
            raise Garbled(f"contradictory frame: {fault}") from fault
        if report is None:
            return ()
        if report.version and (strange := orders.strange_words(update.order)):
            raise Garbled(f"a frame that cannot be read: an order {', '.join(strange)}")
        # The terms of an order that is ours are in the books already.
        return (News(report, None if report.version else self._snapshot(update.order)),)

    def _snapshot(self, order: wire.Order) -> OrderSnapshot:
        return orders.snapshot(order, env=self._access.env, account=self._account)


def _authenticate(access: Access[E]) -> bytes:
    match access.credentials:
        case Keys(key_id=key_id, secret_key=secret_key):
            data = {"key_id": key_id.reveal(), "secret_key": secret_key.reveal()}
        case Bearer(token=token):
            data = {"oauth_token": token.reveal()}
        case _:
            assert_never(access.credentials)
    return wire.ENCODER.encode({"action": "authenticate", "data": data})


async def _until_listening(link: Link) -> Sequence[bytes]:
    """Updates may overtake the confirmation; they are kept, not lost."""
    early: list[bytes] = []
    while True:
        raw = await link.receive(_FRAME_S)
        message = _frame(raw)
        if isinstance(message, wire.ListeningFrame):
            _check_listening(message)
            return early
        early.append(raw)


def _check_listening(message: wire.ListeningFrame) -> None:
    if message.data.error is not None or "trade_updates" not in message.data.streams:
        raise LinkLost("the broker does not let us listen to trade updates")


def _frame(raw: bytes) -> wire.TradingFrame:
    try:
        check_document(raw)
        frame: wire.TradingFrame = wire.TRADING_FRAME.decode(raw)
    except (NotOneDocument, *UNREADABLE) as fault:
        raise Garbled(f"a frame that cannot be read: {fault}") from fault
    return frame

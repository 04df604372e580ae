"""An account that is followed here and written elsewhere: nobody is left with a gap."""

from __future__ import annotations

from ordergate.api.stream.hub import Hub
from tests.api.books import Books
from tests.api.ledger import ACCOUNT
from tests.api.test_feed import follow


class Line:
    """A connection that follows the account, until it is told to go."""

    closed = 0

    def follows(self, account: str) -> bool:
        return account == ACCOUNT

    def close(self, code: int, reason: str) -> None:
        self.closed = code


async def test_whoever_follows_is_sent_to_resume_when_events_were_written_elsewhere() -> None:
    """Another owner of the account wrote in between: no number may be passed over in silence."""
    books = Books()
    hub = Hub(books)
    books.audience = hub
    await follow(books, hub, None)
    line = Line()
    hub.add(line)
    head = len(books.rows[ACCOUNT])
    hub.tell(ACCOUNT, head + 1, "order_accepted", b'{"type":"event"}')
    assert line.closed == 0
    hub.tell(ACCOUNT, head + 3, "order_accepted", b'{"type":"event"}')
    assert line.closed == 1001

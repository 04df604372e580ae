"""I13, I14, I15: in the end every stream client stands at the head and sees what the journal says.

While the run goes on the followers themselves check every frame (`simulation.followers`).
"""

from __future__ import annotations

from ordergate.simulation.invariants.before_sending import SightedChecker


class StreamsWhole(SightedChecker):
    """I13: nobody stands behind the head with nothing more to hear."""

    id = "I13"

    def ended(self) -> None:
        for follower in self.sight.followers:
            books = self.sight.server.store.books.get(follower.account)
            head = 0 if books is None else len(books.events)
            if follower.seq > head or follower.is_behind:
                self.violated(f"{follower.name} stands at {follower.seq}, the journal at {head}")


class ViewsEqual(SightedChecker):
    """I15: what a client has put together from snapshot and events is what the server shows."""

    id = "I15"

    def ended(self) -> None:
        for follower in self.sight.followers:
            books = self.sight.server.store.books.get(follower.account)
            if books is None or not follower.is_whole or follower.seq != len(books.events):
                continue
            shown = {row.id: row.body for row in books.orders.values() if row.open}
            for order_id in sorted(set(shown) ^ set(follower.orders)):
                self.violated(f"{follower.name} and the server differ about whether {order_id} is open")
            for order_id in sorted(set(shown) & set(follower.orders)):
                if shown[order_id] != follower.orders[order_id]:
                    self.violated(f"{follower.name} sees another {order_id} than the server")
            positions = {key: row.body for key, row in books.positions.items()}
            if positions != follower.positions:
                self.violated(f"{follower.name} sees other positions than the server")

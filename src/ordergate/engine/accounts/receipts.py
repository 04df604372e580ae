"""An account's idempotency keys in memory.

Recent receipts are kept whole; of all others 64 bits each, so that a key never seen is known
to be new without asking the database, and a key perhaps seen is looked up there. A key that the
journal refused, because it bought something on another account, is kept beside them.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from ordergate.core.idempotency import Receipt, Scope, judge
from ordergate.core.refusals import Code, Refusal

RECENT_MAX: Final = 50_000
ELSEWHERE_MAX: Final = 1_000


class Receipts:
    def __init__(self, digests: set[int] | None = None) -> None:
        self._recent: OrderedDict[Scope, Receipt] = OrderedDict()
        self._in_flight: dict[Scope, Receipt] = {}
        self._older: set[int] = digests if digests is not None else set()
        self._elsewhere: OrderedDict[Scope, Receipt] = OrderedDict()

    def anew(self, digests: set[int]) -> Receipts:
        """What is known of the account's keys once it was folded again. Those of others are still theirs."""
        known = Receipts(digests)
        known._elsewhere = self._elsewhere
        return known

    def recall(self, scope: Scope, fingerprint: bytes) -> Receipt | Refusal | None:
        """The receipt of a key used before, a refusal of its misuse, or None when not in memory."""
        pending = self._in_flight.get(scope)
        if pending is not None:
            if pending.fingerprint != fingerprint:
                return judge(pending, fingerprint)
            return Refusal(Code.IDEMPOTENCY_KEY_IN_USE, "the first request is still under way")
        known = self._recent.get(scope)
        if known is None and self._elsewhere:
            known = self._elsewhere.get(scope)
        return None if known is None else judge(known, fingerprint)

    def may_be_stored(self, scope: Scope) -> bool:
        """False when the key is certainly new to this account."""
        return bool(self._older) and scope.digest() in self._older

    def may_hold(self, scope: Scope) -> bool:
        """False when the key has certainly bought nothing here, and is not about to."""
        return scope in self._in_flight or scope in self._recent or self.may_be_stored(scope)

    def begin(self, receipt: Receipt) -> None:
        self._in_flight[receipt.scope] = receipt

    def end(self, receipt: Receipt, *, kept: bool) -> None:
        """The request under way has become durable (`kept`) or certainly has not."""
        self._in_flight.pop(receipt.scope, None)
        if kept:
            self.learn(receipt)

    def learn(self, receipt: Receipt) -> None:
        self._recent[receipt.scope] = receipt
        if len(self._recent) > RECENT_MAX:
            oldest, _ = self._recent.popitem(last=False)
            self._older.add(oldest.digest())

    def learn_elsewhere(self, receipt: Receipt) -> None:
        """The key bought something on another account. The oldest is forgotten, and costs a fold again."""
        self._elsewhere[receipt.scope] = receipt
        if len(self._elsewhere) > ELSEWHERE_MAX:
            self._elsewhere.popitem(last=False)

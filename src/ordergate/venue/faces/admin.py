"""The venue's own face, for tests and operators: its ledger, its faults and its tapes.

Exists only when the venue was started with an admin token. What it shows of the ledger is the
exchange's own account of itself, which is the truth the gateway's books are measured against.
"""

import asyncio
from typing import Any, Final, Protocol

import msgspec
from aiohttp import web
from msgspec import UNSET, Struct, UnsetType

from ordergate.venue.exchange import Exchange
from ordergate.venue.faces.alpaca.access import same
from ordergate.venue.faults import Fault, FaultPlan, UnfitFault
from ordergate.venue.tape_deck import TapeCommand, TapeDeck
from ordergate.venue.words import AccountView, Execution, Position, VenueOrder

PREFIX: Final = "/_admin/"
BODY_BYTES_MAX: Final = 64 * 1024
BODY_TIMEOUT_S: Final = 10.0


class AccountLedger(Struct, frozen=True, kw_only=True):
    """Everything the venue knows of one account; orders and executions oldest first."""

    account: AccountView
    orders: list[VenueOrder]
    executions: list[Execution]
    positions: list[Position]


class _Reseed(Struct, frozen=True, forbid_unknown_fields=True):
    seed: int | UnsetType = UNSET


class NewKey(Struct, frozen=True, forbid_unknown_fields=True):
    """A further key pair of an account, until the venue stops."""

    account: str
    key: str
    secret: str


class Keys(Protocol):
    """Who holds the venue's keys."""

    def add_key(self, account: str, key: str, secret: str) -> None:
        """Raises ValueError."""
        ...

    def revoke_key(self, key: str) -> int | None:
        """How many open streams it ended; None where there is no such key."""
        ...


class AdminFace:
    def __init__(
        self, token: str, exchange: Exchange, faults: FaultPlan, tapes: TapeDeck, keys: Keys
    ) -> None:
        if not token:
            raise ValueError("the admin face needs a token")
        self._token = token
        self._exchange = exchange
        self._faults = faults
        self._tapes = tapes
        self._keys = keys

    async def handle(self, request: web.BaseRequest) -> web.Response:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not same(self._token, token.strip()):
            return _answer({"message": "unauthorized."}, 401)
        try:
            async with asyncio.timeout(BODY_TIMEOUT_S):
                body = await request.read()
            return self._route(request.method, request.path.removeprefix(PREFIX), body)
        except (msgspec.DecodeError, UnfitFault, ValueError) as fault:
            return _answer({"message": str(fault)}, 422)

    def _route(self, method: str, path: str, body: bytes) -> web.Response:
        name, _, target = path.partition("/")
        match method, name:
            case "GET", "ledger":
                return self._ledger(target)
            case "GET", "accounts":
                return _answer(self._exchange.accounts())
            case "GET", "faults":
                return _answer(self._faults.states())
            case "POST", "faults":
                return _answer(self._faults.add(msgspec.json.decode(body, type=Fault)), 201)
            case "DELETE", "faults":
                return self._forget(target, body)
            case "POST", "keys":
                asked = msgspec.json.decode(body, type=NewKey)
                if self._exchange.account(asked.account) is None:
                    return _answer({"message": "no such account"}, 404)
                self._keys.add_key(asked.account, asked.key, asked.secret)
                return _answer({"key": asked.key}, 201)
            case "DELETE", "keys":
                ended = self._keys.revoke_key(target)
                if ended is None:
                    return _answer({"message": "no such key"}, 404)
                return _answer({"streams_ended": ended})
            case "GET", "tape":
                return _answer(self._tapes.states())
            case "POST", "tape":
                self._tapes.command(msgspec.json.decode(body, type=TapeCommand))
                return _answer(self._tapes.states())
            case _:
                return _answer({"message": "no such route"}, 404)

    def _ledger(self, account: str) -> web.Response:
        view = self._exchange.account(account)
        if view is None:
            return _answer({"message": "no such account"}, 404)
        return _answer(
            AccountLedger(
                account=view,
                orders=self._exchange.orders(account),
                executions=self._exchange.executions(account),
                positions=self._exchange.positions(account),
            )
        )

    def _forget(self, target: str, body: bytes) -> web.Response:
        if not target:
            self._faults.clear(msgspec.json.decode(body or b"{}", type=_Reseed).seed)
        elif not (target.isdigit() and self._faults.remove(int(target))):
            return _answer({"message": "no such fault"}, 404)
        return _answer(self._faults.states())


def _answer(body: Any, status: int = 200) -> web.Response:
    return web.Response(status=status, body=msgspec.json.encode(body), content_type="application/json")

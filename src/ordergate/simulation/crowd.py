"""All stream clients of a run: steady followers, one of them of executions alone, and what befalls them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from ordergate.api.stream.channels import Channel
from ordergate.api.stream.frames import Resume
from ordergate.core.ids import AccountId
from ordergate.simulation.database import Server
from ordergate.simulation.followers import Find, Follower
from ordergate.simulation.ground import Ground
from ordergate.simulation.plan import Strike

CROWD: Final = 12
_STAY_S: Final = 3.0
_TICK_S: Final = 2.0


class Crowd:
    def __init__(self, ground: Ground, server: Server, accounts: Sequence[AccountId], serving: Find) -> None:
        self._ground = ground
        self._server = server
        self._serving = serving
        self._accounts = accounts
        self._storms = 0
        self.steady = [
            self._follower(f"follower-{number}", account, slow=partial(self._is_slow, number))
            for number, account in enumerate(accounts)
        ]
        narrow = accounts[ground.plan.seed % len(accounts)]
        self.narrow = self._follower("narrow", narrow, channels=(Channel.EXECUTIONS,))
        weather = ground.weather
        weather.on("U1", lambda strike: None, self._slow_is_over)
        weather.on("U2", self._storm)
        weather.on("U4", self._resume_from_nowhere)

    @property
    def lasting(self) -> list[Follower]:
        """Those that are there from the beginning to the end."""
        return [*self.steady, self.narrow]

    def begin(self) -> None:
        for follower in self.lasting:
            follower.begin()
        self._ground.later(_TICK_S, self._tick)

    def _tick(self) -> None:
        """The gateways' own time: state hashes are told now and then."""
        gateway = self._serving()
        if gateway is not None and gateway.hub is not None:
            gateway.hub.tick(self._ground.loop.time())
        self._ground.later(_TICK_S, self._tick)

    def _follower(
        self,
        name: str,
        account: AccountId,
        *,
        slow: Callable[[], bool] = lambda: False,
        channels: Sequence[Channel] = tuple(Channel),
    ) -> Follower:
        return Follower(
            self._ground, self._server, name, account, serving=self._serving, slow=slow, channels=channels
        )

    def _is_slow(self, number: int) -> bool:
        return self._ground.weather.spell("U1", number) is not None

    def _slow_is_over(self, strike: Strike) -> None:
        """U1: it reads again, or finds itself closed for having been too slow."""
        follower = self.steady[strike.account]
        if follower.was_closed:
            self._ground.weather.seen("U1", follower.name)
        follower.read_on()

    def _storm(self, strike: Strike) -> None:
        """U2: a crowd comes back at once, each from where it was."""
        self._storms += 1
        account = self._accounts[strike.account]
        known = self.steady[strike.account].where
        if known is None or self._serving() is None:
            return
        crowd = [self._follower(f"storm-{self._storms}-{one}", account) for one in range(CROWD)]
        for number, follower in enumerate(crowd):
            follower.stream_id = known.stream_id
            follower.forget(known.after_seq * number // CROWD)
            follower.come_back(follower.where)
        self._ground.later(_STAY_S, partial(self._disperse, crowd))

    def _disperse(self, crowd: Sequence[Follower]) -> None:
        if all(follower.resumed for follower in crowd):
            self._ground.weather.seen("U2", f"{len(crowd)} clients")
        for follower in crowd:
            follower.close()

    def _resume_from_nowhere(self, strike: Strike) -> None:
        """U4: a place in the future, or of a stream that is not there."""
        follower = self.steady[strike.account]
        known = follower.where
        if known is None or self._serving() is None:
            return
        nowhere = (
            Resume(known.stream_id, known.after_seq + 100_000)
            if strike.dose < 0.5
            else Resume("another-stream", known.after_seq)
        )
        before = follower.resets
        follower.come_back(nowhere)
        self._ground.later(_STAY_S, partial(self._was_reset, follower, before))

    def _was_reset(self, follower: Follower, before: int) -> None:
        if follower.resets > before:
            self._ground.weather.seen("U4", follower.name)

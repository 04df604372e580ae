"""A scripted broker for each test that asks, and a clock that only a test moves."""

from tests.brokers.conftest import clock, server

__all__ = ["clock", "server"]

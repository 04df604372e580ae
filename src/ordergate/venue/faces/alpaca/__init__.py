"""The venue seen as Alpaca: its REST paths, error bodies, trade updates and market data streams.

Futures are shown with asset class `us_equity`, because Alpaca's vocabulary has no word for them.
"""

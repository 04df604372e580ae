"""A paper exchange with a real order book: the independent counterparty of the gateway.

It imports nothing else of ordergate, so that its ledger can be the ground truth in tests.
"""

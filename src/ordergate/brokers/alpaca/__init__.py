"""Alpaca's Trading API: equities and crypto, paper and live."""

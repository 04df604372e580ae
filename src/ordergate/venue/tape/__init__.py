"""Recorded or made-up order flow, played into a real matching book."""

"""A price-time-priority matching engine: pure, exact, in whole ticks and lots."""

from ordergate.venue.book.matching import Book
from ordergate.venue.book.orders import BUY, SELL, Drop, Fill, Happening, Level, Life, Order, Print, Wake

__all__ = ["BUY", "SELL", "Book", "Drop", "Fill", "Happening", "Level", "Life", "Order", "Print", "Wake"]

"""An account's books: positions and cash folded from events, and breaks with the broker's."""

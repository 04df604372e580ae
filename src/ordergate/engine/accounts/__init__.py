"""One account in memory: its books, their only owner, and how they are made again from the journal."""

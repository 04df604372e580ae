"""Whether our books and the broker's agree, and what nobody knows yet."""

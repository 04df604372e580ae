"""Orders that alerts ask for: who may send one, and what order it means."""

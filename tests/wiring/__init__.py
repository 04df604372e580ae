"""What is put together, and what only the putting together needs."""

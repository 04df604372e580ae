"""The journal: PostgreSQL and its twin under one suite, and what only a real server can go through."""

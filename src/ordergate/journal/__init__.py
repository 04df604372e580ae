"""The journal on PostgreSQL: the only truth, its read tables, its in-memory twin, and the embedded server."""

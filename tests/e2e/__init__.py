"""The whole system as real processes: gateway, PostgreSQL and venue, traded through its public faces."""

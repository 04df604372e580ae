"""What lets the gateway in at brokers: sealed in the database, in slots, so that one can follow another."""

"""What is written down about the system: no secret, and nothing that slows it."""

"""What things are worth now: prices with their age, rates between currencies, all that is held."""

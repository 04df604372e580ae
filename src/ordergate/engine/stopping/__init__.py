"""The kill switch, what carries it out, and the stops that nobody has to ask for."""

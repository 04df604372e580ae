"""Whether what clients were told, all at once, could have been told one after the other."""

"""One order's life: commands that may be refused, events that have happened, reports unproven."""

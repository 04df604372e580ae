"""Where people change who may do what: streams of decisions, with a second person where it takes one."""

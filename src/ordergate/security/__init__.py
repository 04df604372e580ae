"""Who may ask for what: the authorization server, its clients and keys, and the check of every token."""

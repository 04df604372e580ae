-- Two steps of one statement would meet in the index of the one in use, so the leaving one goes first.
update broker_credential
set state = 'draining', changed_at = now()
where env = $1 and broker = $2 and state = 'active'

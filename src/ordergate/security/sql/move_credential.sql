update broker_credential
set state = $4, fingerprint = coalesce($5, fingerprint), changed_at = now()
where env = $1 and row_id = $2 and state = $3
returning row_id

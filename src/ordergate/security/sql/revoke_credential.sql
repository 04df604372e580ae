update broker_credential
set state = 'revoked', changed_at = now(), kek = null, kek_version = null, kek_algorithm = null,
    wrapped = null, algorithm = null, nonce = null, ciphertext = null
where env = $1 and row_id = $2 and state = $3
returning row_id

insert into broker_credential (env, row_id, broker, tenant, account, kind, state, expires_at,
    kek, kek_version, kek_algorithm, wrapped, algorithm, nonce, ciphertext)
values ($1, $2, $3, $4, $5, $6, 'added', $7, $8, $9, $10, $11, $12, $13, $14)
on conflict do nothing
returning row_id

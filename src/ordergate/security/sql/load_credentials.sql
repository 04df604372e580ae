select row_id, broker, tenant, account, kind, state, fingerprint, expires_at, created_at, changed_at,
    kek, kek_version, kek_algorithm, wrapped, algorithm, nonce, ciphertext
from broker_credential
where env = $1 and ($2::text is null or broker = $2) and (state <> 'revoked' or $3)
order by broker, created_at, row_id

-- Only over what was read: whoever was quicker is not undone.
update broker_credential
set kek = $4, kek_version = $5, kek_algorithm = $6, wrapped = $7, algorithm = $8, nonce = $9, ciphertext = $10,
    expires_at = coalesce($11, expires_at)
where env = $1 and row_id = $2 and wrapped = $3
returning row_id

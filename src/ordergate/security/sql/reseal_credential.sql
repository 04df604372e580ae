-- Only over what was read: whoever was quicker is not undone. With another end it is another secret, and without
-- one the same, wrapped anew.
update broker_credential
set kek = $4, kek_version = $5, kek_algorithm = $6, wrapped = $7, algorithm = $8, nonce = $9, ciphertext = $10,
    expires_at = coalesce($11, expires_at),
    changed_at = case when $11 is null then changed_at else now() end
where env = $1 and row_id = $2 and wrapped = $3
returning row_id

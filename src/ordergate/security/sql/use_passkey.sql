-- A counter that does not grow is told by two who hold one key. One that counts nothing says 0 for ever.
update passkey set
    sign_count = greatest(sign_count, $3),
    used_at = $4,
    suspect = $3 <= sign_count and sign_count > 0
where env = $1 and credential_id = $2 and not suspect
returning not suspect

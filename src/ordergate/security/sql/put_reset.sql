insert into password_reset (env, user_id, code_hash, expires_at)
select $1, $2, $3, $4 from person where env = $1 and user_id = $2 and enabled and totp is not null
on conflict (env, user_id) do update set code_hash = excluded.code_hash, expires_at = excluded.expires_at
returning true

insert into oauth_revocation (env, token_id, expires_at)
values ($1, $2, $3)
on conflict (env, token_id) do nothing

insert into oauth_grant (env, grant_id, client_id, user_id, scopes, auth_time, acr, bound_to, redirect_uri,
    challenge, code_hash, code_expires_at, used_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)

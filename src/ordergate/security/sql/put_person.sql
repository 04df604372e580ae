insert into person (env, user_id, tenant, password_hash, totp, scopes, accounts, enabled)
values ($1, $2, $3, $4, $5, $6, $7, $8)
on conflict (env, user_id) do update set
    tenant = excluded.tenant,
    password_hash = excluded.password_hash,
    totp = excluded.totp,
    scopes = excluded.scopes,
    accounts = excluded.accounts,
    enabled = excluded.enabled,
    changed_at = now()

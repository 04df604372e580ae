insert into oauth_client (env, client_id, tenant, secret_hash, scopes, accounts, enabled)
values ($1, $2, $3, $4, $5, $6, $7)
on conflict (env, client_id) do update set
    tenant = excluded.tenant,
    secret_hash = excluded.secret_hash,
    scopes = excluded.scopes,
    accounts = excluded.accounts,
    enabled = excluded.enabled,
    changed_at = now()

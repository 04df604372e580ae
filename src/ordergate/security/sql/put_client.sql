insert into oauth_client
    (env, client_id, tenant, secret_hash, scopes, accounts, enabled, keys, redirect_uris, sender,
     old_secret_hash, old_secret_until, secret_since)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, now())
on conflict (env, client_id) do update set
    tenant = excluded.tenant,
    secret_hash = excluded.secret_hash,
    scopes = excluded.scopes,
    accounts = excluded.accounts,
    enabled = excluded.enabled,
    keys = excluded.keys,
    redirect_uris = excluded.redirect_uris,
    sender = excluded.sender,
    old_secret_hash = excluded.old_secret_hash,
    old_secret_until = excluded.old_secret_until,
    secret_since = case
        when (oauth_client.secret_hash, oauth_client.keys) is distinct from (excluded.secret_hash, excluded.keys)
        then now()
        else coalesce(oauth_client.secret_since, oauth_client.changed_at) end,
    changed_at = now()

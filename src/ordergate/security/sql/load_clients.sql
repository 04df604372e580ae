select client_id, tenant, secret_hash, scopes, accounts, enabled, keys, redirect_uris, sender,
    old_secret_hash, old_secret_until
from oauth_client
where env = $1
order by client_id

select grant_id, client_id, user_id, scopes, auth_time, acr, bound_to, redirect_uri, challenge, code_hash,
    code_expires_at, redeemed, refresh_hash, spent_hashes, used_at, revoked
from oauth_grant
where env = $1 and grant_id = $2

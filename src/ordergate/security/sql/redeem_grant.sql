update oauth_grant set redeemed = true, refresh_hash = $3, bound_to = $4, used_at = $5
where env = $1 and grant_id = $2 and not redeemed and not revoked and code_expires_at > $5
returning true

delete from oauth_revocation
where env = $1 and expires_at <= $2

update oauth_grant set revoked = true where env = $1 and grant_id = $2

delete from oauth_spent
where env = $1 and expires_at <= $2

delete from oauth_signing_key
where env = $1 and retires_at <= $2

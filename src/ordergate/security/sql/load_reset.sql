select user_id, code_hash, expires_at from password_reset where env = $1 and user_id = $2

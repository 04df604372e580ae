delete from passkey where env = $1 and user_id = $2

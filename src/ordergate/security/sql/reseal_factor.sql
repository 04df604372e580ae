-- Only over what was read: a factor that was given meanwhile stays.
update person set totp = $4 where env = $1 and user_id = $2 and totp = $3 returning true

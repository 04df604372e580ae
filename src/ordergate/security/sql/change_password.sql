-- Of two who change it at once one does: the other one's old password is not the one that stands.
update person set password_hash = $4, changed_at = now()
where env = $1 and user_id = $2 and enabled and password_hash = $3 and ($5::text is null or exists (
    select from password_reset
    where env = $1 and user_id = $2 and code_hash = $5 and expires_at > $6))
returning true

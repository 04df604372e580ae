insert into passkey (
    env, credential_id, user_id, label, user_handle, public_key, sign_count, backed_up, made_at)
select $1, $2, $3, $4, $5, $6, $7, $8, $9
from person
where env = $1 and user_id = $3
    and (select count(*) from passkey where env = $1 and user_id = $3) < $10
on conflict do nothing
returning true

select credential_id, user_id, label, user_handle, public_key, sign_count, backed_up, made_at, used_at, suspect
from passkey
where env = $1 and user_id = $2
order by label

select user_id, tenant, password_hash, totp, scopes, accounts, enabled
from person
where env = $1
order by user_id

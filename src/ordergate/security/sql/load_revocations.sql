select token_id, expires_at
from oauth_revocation
where env = $1 and expires_at > $2

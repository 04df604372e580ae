select kid, jwk, retires_at
from oauth_signing_key
where env = $1 and (retires_at is null or retires_at > $2)
order by kid

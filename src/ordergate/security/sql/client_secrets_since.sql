select client_id, coalesce(secret_since, changed_at) as since
from oauth_client
where env = $1 and enabled and (secret_hash is not null or keys is not null)
order by since, client_id
limit $2

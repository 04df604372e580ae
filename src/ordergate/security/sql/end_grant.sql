-- The access tokens of it end with it: whoever asks again finds nothing left to revoke.
with ended as (
    update oauth_grant set revoked = true where env = $1 and grant_id = $2 returning grant_id
)
insert into oauth_revocation (env, token_id, expires_at)
select $1, grant_id, $3 from ended
on conflict (env, token_id) do nothing

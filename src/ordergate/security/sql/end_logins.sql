with live as (
    select grant_id, row_number() over (order by auth_time desc) as place
    from oauth_grant
    where env = $1 and user_id = $2 and not revoked and used_at > $4::bigint - $5
        and (redeemed or code_expires_at > $4)
), ended as (
    update oauth_grant set revoked = true
    where env = $1 and not revoked and grant_id in (select grant_id from live where place > $3)
    returning grant_id
), told as (
    insert into oauth_revocation (env, token_id, expires_at)
    select $1, grant_id, $4 + $5 from ended
    on conflict (env, token_id) do nothing
)
select count(*) from ended

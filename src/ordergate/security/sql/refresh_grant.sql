update oauth_grant set refresh_hash = $4, used_at = $5,
    spent_hashes = case when $3::text = $4 then spent_hashes else (array_prepend($3, spent_hashes))[1:500] end
where env = $1 and grant_id = $2 and not revoked and refresh_hash = $3
returning true

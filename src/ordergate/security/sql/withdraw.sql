with carried_out as (
    insert into access_carried_out (env, change_id)
    select $1, $7::text where $7::text is not null
    on conflict do nothing
    returning change_id
)
delete from access_assignment
where env = $1 and tenant = $2 and subject = $3 and role = $4 and reach = $5 and of = $6
    and ($7::text is null or exists (select from carried_out))

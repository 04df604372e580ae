-- An approved change is carried out once, however often it is asked for.
with carried_out as (
    insert into access_carried_out (env, change_id)
    select $1, $7::text where $7::text is not null
    on conflict do nothing
    returning change_id
), now as (
    select where $7::text is null or exists (select from carried_out)
), known as (
    insert into access_subject (env, tenant, subject) select $1, $2, $3 from now on conflict do nothing
)
insert into access_assignment (env, tenant, subject, role, reach, of)
select $1, $2, $3, $4, $5, $6 from now
on conflict do nothing

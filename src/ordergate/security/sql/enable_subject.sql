-- Kept out even if it never had a role; let in again only if it has been known.
with known as (
    update access_subject set enabled = $4 where env = $1 and tenant = $2 and subject = $3 returning subject
)
insert into access_subject (env, tenant, subject, enabled)
select $1, $2, $3, false where not $4 and not exists (select from known)
on conflict do nothing

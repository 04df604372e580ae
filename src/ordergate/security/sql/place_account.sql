insert into access_account (env, account, tenant, desk)
values ($1, $2, $3, $4)
on conflict (env, account) do update set desk = excluded.desk, tenant = excluded.tenant
where (access_account.desk, access_account.tenant) is distinct from (excluded.desk, excluded.tenant)

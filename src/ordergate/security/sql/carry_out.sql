insert into access_carried_out (env, change_id) values ($1, $2)
on conflict do nothing
returning change_id

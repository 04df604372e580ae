-- What is never retired, whoever asks: beside events and the signed log, the drop copy, and what was asked to
-- stop. Messages to endpoints are retired by age; their content is in the journal.

create function record_is_kept() returns trigger language plpgsql as $$
begin
    raise exception 'what was recorded is never deleted' using errcode = 'OG002';
end
$$;

create trigger drop_copy_is_append_only before update or delete or truncate on drop_copy
    for each statement execute function record_is_kept();
create trigger kill_flag_is_kept before delete or truncate on kill_flag
    for each statement execute function record_is_kept();
create trigger shared_stop_is_kept before delete or truncate on shared_stop
    for each statement execute function record_is_kept();

create index webhook_delivery_settled on webhook_delivery (settled_at) where state <> 'waiting';

-- The drop copy is read behind the second fence too (0008): a tenant's accounts, and the control streams, which
-- are nobody's account. Whom what is said of limits may be told is for the service to say: it names accounts.

grant select on drop_copy to ordergate_reader;
alter table drop_copy enable row level security;
create policy seen on drop_copy for select to ordergate_reader
    using (
        account = any((select seen_accounts())::text[])
        or (account in ('P-CONTROL', 'P-LIMITS', 'L-CONTROL', 'L-LIMITS')
            and coalesce(current_setting('ordergate.tenant', true), '') <> '')
    );

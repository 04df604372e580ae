-- What an account's events were folded to, so that a start need not fold them all again.
--
-- A projection like everything named `_view`: any row may be deleted at any time, and is then missed by
-- nobody but the next start, which folds the account from its first event.

-- `seal` is a seal on the event `seq` (journal/chain.py); `rules` names what the events were folded by.
-- The body comes compressed.
create table account_snapshot (
    account text collate "C" primary key,
    epoch bigint not null,
    seq bigint not null,
    rules text not null,
    seal bytea not null,
    body bytea not null
);
alter table account_snapshot alter column body set storage external;

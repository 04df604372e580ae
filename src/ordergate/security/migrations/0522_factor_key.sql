-- The key that seals people's second factors, itself sealed by the key service; one for each environment.

create table factor_key (
    env text primary key check (env in ('paper', 'live')),
    sealed text not null,
    changed_at timestamptz not null default now()
);

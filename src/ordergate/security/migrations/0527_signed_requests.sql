-- Clients whose orders count only in requests that they have signed (RFC 9421).

alter table client_bounds add column signed_requests boolean not null default false;

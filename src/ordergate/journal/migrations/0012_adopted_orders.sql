-- An order placed elsewhere is found by its broker's id, however long ago it was adopted: its own id begins with
-- a time, and is not known before the broker has told that. Of such orders alone, so no other commit pays for it.
create index event_of_adopted on event (account, (body::jsonb ->> 'broker_order_id')) where kind = 'order_adopted';

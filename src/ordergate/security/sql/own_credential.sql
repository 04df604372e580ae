-- Until the end of the transaction: who refreshes it is the only one.
select pg_try_advisory_xact_lock(20295, hashtext($1 || $2))

-- The verifier, never the password: a statement may be logged.
select format('alter role %I password %L', current_user, $1::text)

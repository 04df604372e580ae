-- A database is its owner's alone. PostgreSQL lets every user of a server connect to each of its databases, and
-- the role of the second fence is one for the whole server: a user of paper that connects to live's database
-- would read there what the reader may. Whoever else has to connect is granted it by name.

do $$
begin
    execute format('revoke connect, temporary on database %I from public', current_database());
end
$$;

select tenant, subject, version, enabled from access_subject where env = $1 order by tenant, subject

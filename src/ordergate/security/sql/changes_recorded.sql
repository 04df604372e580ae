update identity_change set recorded = true where env = $1 and id = any($2::bigint[]) and not recorded

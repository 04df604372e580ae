select identity_note($1, $2, $3, $4, $5::jsonb)

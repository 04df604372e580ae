select client_id, instruments, strategies, notional_max, networks::text[] as networks, expires_at,
    signed_requests
from client_bounds where env = $1

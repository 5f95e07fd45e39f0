"""Where the service keeps things: a database, published objects, leases. Knows no feature."""

"""The ground: time, chance, database, refusals, secrets. Knows nothing of identity and nothing of HTTP."""

"""The journey from a stranger to an account. Owns no table; nobody calls it but its door."""

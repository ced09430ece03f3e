"""The journey from a forgotten password to a new one. Owns no table; nobody calls it but its doors and the operator."""

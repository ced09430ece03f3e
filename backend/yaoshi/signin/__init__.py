"""The journey from a stranger at the door to an open session. Owns no table; nobody calls it but its door."""

"""The journey from a contact that somebody typed to one that its owner has proved. Owns no table."""

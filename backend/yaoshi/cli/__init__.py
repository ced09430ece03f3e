"""The operator's door: serve, db, accounts, backup, doctor. Calls the same services as the HTTP doors."""

"""The audit log: one row per recorded fact, written in the transaction that made it true. Owns `audit_entries`."""

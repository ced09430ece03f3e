"""Passwords: judged, hashed on a bounded pool, checked, replaced. Owns the column `users.password_hash`.

Stands above sessions and codes, because a new password ends both.
"""

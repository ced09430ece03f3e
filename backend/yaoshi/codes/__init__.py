"""One-time codes: issued, tried, spent. Owns `password_reset_codes`. Knows subjects; the journeys say whose."""

"""People's accounts and the identifiers that lead to them. Owns `users`; journeys and the operator call it."""

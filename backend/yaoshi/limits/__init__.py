"""Counters against guessing and flooding. Knows keys and numbers, never who someone is. Owns `limit_counters`."""

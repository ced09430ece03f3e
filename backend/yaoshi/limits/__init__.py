"""Counters against guessing and flooding. Plumbing: knows keys and numbers, never who someone is. Owns no table yet."""

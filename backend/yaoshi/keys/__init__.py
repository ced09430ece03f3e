"""Signing keys: access tokens are signed and checked here. Owns `signing_keys`; private halves are stored sealed."""

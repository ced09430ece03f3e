"""Sessions: opened at sign-in, asked on every signed-in request, ended. Owns `sessions`."""

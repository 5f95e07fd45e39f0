"""Invitations: a page that says what Bluezone is, and a count that names nobody."""

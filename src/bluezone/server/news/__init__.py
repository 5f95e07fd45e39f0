"""News of the authority for every phone: written, looked at, then published under signature."""

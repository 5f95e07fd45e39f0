"""Contacts: who was exposed to whom, by whose word, and which rank follows from it."""

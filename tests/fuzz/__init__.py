"""Fuzzing entries (atheris): the readers of everything that strangers can send."""

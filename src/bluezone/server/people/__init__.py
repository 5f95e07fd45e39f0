"""Staff accounts: who may sign in, as what, for which unit."""

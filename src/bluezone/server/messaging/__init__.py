"""Messages to people: an outbox, whatever carries them, and codes that prove a number."""

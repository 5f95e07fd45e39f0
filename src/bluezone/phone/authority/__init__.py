"""What a person and the health authority exchange, each time by the person's choice."""

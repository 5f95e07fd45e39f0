"""What the authority holds of a person: shown to them when they ask, deleted when it is time."""

"""Rules that change during an epidemic: versioned data, each valid from a day."""

"""Confirmed from both sides: nightly commitments, claims that open them, what they are worth."""

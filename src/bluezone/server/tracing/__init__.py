"""What people hand to the health authority of their own choice, and what staff make of it."""

"""Health stations: whom to call in each commune, and which unit its requests go to."""

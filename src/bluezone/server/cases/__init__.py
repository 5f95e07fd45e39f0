"""Cases: taken down, imported, opened and closed by results; their course, onset and outcome."""

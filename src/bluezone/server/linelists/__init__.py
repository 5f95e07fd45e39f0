"""Finding people, and taking lists of them out: search, line lists, scheduled reports."""

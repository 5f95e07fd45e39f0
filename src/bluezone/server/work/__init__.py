"""Work: what has to be done for whom, by when, by which person or team."""

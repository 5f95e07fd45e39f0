"""People the authority knows of: their sealed details, found again without being read."""

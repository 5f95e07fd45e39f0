"""Who did and saw what: one chain of entries for each province, which nobody can change unseen."""

"""What the outbreak looks like: chains, map, curve, delays, coverage. Reads, changes nothing."""

"""New keys for what is sealed and for what people are found by, without a moment of standstill."""

"""Records in: what the generators left on disk as plain values, how values are shown, what verification found."""

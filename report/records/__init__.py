"""The generators' records as plain values, their formatting, and the results of verification."""

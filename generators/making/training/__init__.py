"""The training of pocket's three stages."""

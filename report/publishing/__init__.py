"""Verifies a built site against a new drawing, checks it, and publishes it."""

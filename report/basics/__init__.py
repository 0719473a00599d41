"""Shared helpers: collected problems, and folders that are replaced as a whole."""

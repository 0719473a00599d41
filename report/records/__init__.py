"""The records that the page shows, and the results of verification."""

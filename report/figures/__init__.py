"""A figure on the page: its template's data, its controls, the judge's ranks, its PNG to download."""

"""A figure as the page shows it: what its template gets, its controls, the judge's ranks, its PNG to download."""

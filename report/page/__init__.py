"""The page: collects prose and figures, renders them with Jinja, checks the result, and replaces the old site."""

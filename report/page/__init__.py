"""The page: prose and figures gathered, rendered by Jinja, checked, and put in the place of the old site."""

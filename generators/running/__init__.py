"""Finds what is stale and draws it: in this process, in worker processes, or with a stand-in for a dry run."""

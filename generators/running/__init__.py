"""Finds stale sections and draws them: in this process, in worker processes, or with a stand-in for a dry run."""

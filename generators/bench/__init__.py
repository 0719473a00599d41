"""`make bench`: the report's stage-1 work in several ways, side by side; report/benchmarks.md says what is compared."""

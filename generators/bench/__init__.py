"""`make bench`: times several implementations of the report's stage-1 work; report/benchmarks.md describes them."""

"""A panel's web formats: small image files with embedded metadata."""

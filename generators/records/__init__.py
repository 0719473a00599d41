"""What generators and page share: the schema of records, their texts, files that are replaced as a whole, errors."""

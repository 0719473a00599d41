"""pocket: the small text-to-image cascade that ships with the report, its weights and its model card."""

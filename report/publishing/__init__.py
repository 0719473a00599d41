"""What happens to a built site: verified against a new drawing, checked, published."""

"""Two judges of pictures, and the search for pairs of prompts that they recognise in one picture."""

"""Two judges of pictures, their training, and the search for pairs of prompts that they recognise in one picture."""

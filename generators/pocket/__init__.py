"""pocket, the text-to-image cascade that ships in this repository: data, training, evaluation, weights."""

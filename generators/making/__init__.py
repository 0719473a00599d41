"""How pocket, the text-to-image cascade that ships in this repository, is made: data, training, judges, evaluation."""

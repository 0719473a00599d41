"""The evaluation of pocket: what the model card's numbers come from."""

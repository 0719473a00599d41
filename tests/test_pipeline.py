"""pocket as a diffusers pipeline: it draws what the report draws, in every size, and refuses what it cannot draw."""

import shutil

import numpy as np
import pytest
import torch
from diffusers import DiffusionPipeline
from diffusers.utils import dynamic_modules_utils

from generators import models, pipeline
from generators.diffusion import batching
from generators.diffusion.schedule import strided
from generators.lab import Lab

PROMPT, SHORT = "an oil painting of a fox", {"stride": 300}


@pytest.fixture(scope="module")
def pocket(tiny_pocket, tmp_path_factory):
    """Loaded as a reader of the card loads it, with diffusers' copy of the pipeline's file in a folder of the tests."""
    folder = shutil.copytree(tiny_pocket, tmp_path_factory.mktemp("with-index"), dirs_exist_ok=True)
    shutil.copy(models.SHIPPED / "model_index.json", folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dynamic_modules_utils, "HF_MODULES_CACHE", str(tmp_path_factory.mktemp("modules")))
        loaded = DiffusionPipeline.from_pretrained(folder, custom_pipeline=pipeline.__file__, trust_remote_code=True)
    loaded.set_progress_bar_config(disable=True)
    return loaded


def test_the_pipeline_has_the_cascade_of_the_weights(pocket):
    assert type(pocket).__name__ == pipeline.PocketPipeline.__name__
    assert set(pocket.components) == {"transformer", "stage_2", "stage_3", "scheduler"}


@pytest.mark.parametrize("pixels", [64, 256, 1024])
def test_its_samples_are_the_reports(pocket, pixels):
    lab = Lab(models.load("pocket"))

    def draw(k):
        x = lab.sample(lab.guided(PROMPT), k, strided(SHORT["stride"]))
        while x.shape[-1] < pixels:
            x = lab.enlarge(x, PROMPT, k)
        return x

    with torch.inference_mode():
        expected = [task.result for task in batching.run([lambda k=k: draw(k) for k in (0, 1)])]
    found = pocket(PROMPT, pixels, num_images_per_prompt=2, output_type="pt", **SHORT).images
    assert torch.equal(found, (torch.stack(expected).clamp(-1, 1) / 2 + 0.5).clamp(0, 1))


def test_images_follow_prompts_and_seeds(pocket):
    both = pocket([PROMPT, "a skull"], num_images_per_prompt=2, output_type="np", **SHORT).images
    assert both.shape == (4, 64, 64, 3)
    later = pocket("a skull", seed=43, output_type="np", **SHORT).images[0]
    assert np.allclose(both[3], later, atol=1e-4)
    assert not np.allclose(both[2], later, atol=1e-2)
    assert pocket(PROMPT, **SHORT).images[0].size == (64, 64)


def test_guidance_changes_the_picture(pocket):
    weak, strong = (pocket(PROMPT, guidance_scale=g, output_type="np", **SHORT).images for g in (1, 5))
    assert not np.allclose(weak, strong, atol=1e-2)


@pytest.mark.parametrize(("wrong", "why"), [
    ({"pixels": 128}, "64, 256 or 1024"),
    ({"prompt": []}, "nothing to draw"),
    ({"num_images_per_prompt": 0}, "nothing to draw"),
])  # fmt: skip
def test_what_it_cannot_draw_is_refused_in_one_line(pocket, wrong, why):
    with pytest.raises(ValueError, match=why) as raised:
        pocket(**{"prompt": PROMPT, **wrong})
    assert "\n" not in str(raised.value)

"""Stage 1 of DeepFloyd, against diffusers' own pipelines: the same images to the last bit, in float32."""

from functools import partial

import pytest
import tiny_if
import torch
from diffusers import IFImg2ImgPipeline

from generators.diffusion import cfg, last, sample, sdedit, strided
from generators.diffusion.strands import run
from generators.models import deepfloyd

PROMPT = "a rocket ship"
LEVELS = (1, 3, 5, 7, 10, 20)
LIKE = torch.zeros(3, tiny_if.SIZE, tiny_if.SIZE)
X0 = torch.rand(LIKE.shape, generator=torch.Generator().manual_seed(5)) * 2 - 1
GUIDED = {"guidance_scale": 7.0, "timesteps": strided(), "output_type": "pt", "clean_caption": False}


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(42)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    loaded = deepfloyd.load(tiny_if.save(tmp_path_factory.mktemp("tiny-if")), digest="")
    loaded.pipeline.set_progress_bar_config(disable=True)
    return loaded


@pytest.fixture(scope="module")
def sampled(model):
    """diffusers' own sample."""
    return _shown(model.pipeline(PROMPT, height=16, width=16, generator=seeded(), **GUIDED).images)


@pytest.fixture(scope="module")
def edited(model):
    """diffusers' own SDEdit at each of the six levels."""
    pipeline = IFImg2ImgPipeline(**model.pipeline.components, requires_safety_checker=False)
    pipeline.set_progress_bar_config(disable=True)
    return {
        i: _shown(pipeline(PROMPT, image=X0[None], strength=(34 - i) / 34, generator=seeded(), **GUIDED).images)
        for i in LEVELS
    }


def _shown(images):
    (image,) = images
    return image


def guided(model):
    return cfg(model.noise(PROMPT), model.noise(""), 7.0)


def sampling(model):
    return last(sample(model.schedule, guided(model), strided(), seeded(), LIKE))


def editing(model, i_start):
    return last(sdedit(model.schedule, guided(model), strided(i_start=i_start), seeded(), X0))


def test_the_schedule_is_deepfloyds(model):
    assert (model.schedule.threshold, model.schedule.quantile) == (1.5, 0.95)
    assert model.schedule.abar.dtype == torch.float32


def test_the_two_halves_of_the_answer_are_the_noise_and_the_variance(model):
    x, t = torch.randn(LIKE.shape, generator=seeded()), 690
    with torch.inference_mode():
        embeds, _ = model.pipeline.encode_prompt(PROMPT, do_classifier_free_guidance=False, clean_caption=False)
        six = model.pipeline.unet(x[None], t, encoder_hidden_states=embeds).sample[0]
    noise = model.noise(PROMPT)(x, t)
    assert torch.equal(noise.eps, six[:3])
    assert torch.equal(noise.frac, (six[3:] + 1) / 2)


def test_a_guided_sample_is_diffusers_bit_for_bit(model, sampled):
    """34 steps, gamma 7, seed 42; conditional and unconditional in one call, as diffusers has them."""
    (strand,) = run([partial(sampling, model)])
    assert torch.equal(strand.result, sampled)
    assert sampled.abs().max() <= 1
    assert sampled.std() > 0.1


@pytest.mark.parametrize("i_start", LEVELS)
def test_sdedit_is_diffusers_bit_for_bit(model, edited, i_start):
    (strand,) = run([partial(editing, model, i_start)])
    assert torch.equal(strand.result, edited[i_start])


def test_outside_run_and_beside_others_it_is_diffusers_up_to_rounding(model, sampled, edited):
    """One image a forward, or fourteen: kernels may add up in another order."""
    torch.testing.assert_close(sampling(model), sampled, rtol=0, atol=1e-4)
    torch.testing.assert_close(editing(model, 10), edited[10], rtol=0, atol=1e-4)
    first, *others = run([partial(sampling, model), *(partial(editing, model, i) for i in LEVELS)])
    torch.testing.assert_close(first.result, sampled, rtol=0, atol=1e-4)
    for i, strand in zip(LEVELS, others, strict=True):
        torch.testing.assert_close(strand.result, edited[i], rtol=0, atol=1e-4)


def test_each_guided_step_is_one_call_of_two_images(model, sampled):
    calls, evaluations = model.calls, model.evaluations
    run([partial(sampling, model)])
    assert (model.calls - calls, model.evaluations - evaluations) == (34, 68)


def test_the_prompt_and_the_level_matter(model, sampled, edited):
    """So that equality above says something: no two of these images are near to each other."""
    (other,) = run([lambda: last(sample(model.schedule, model.noise("a dog"), strided(), seeded(), LIKE))])
    images = [sampled, other.result, *edited.values()]
    for k, one in enumerate(images):
        assert all((one - two).abs().max() > 0.01 for two in images[:k])


def test_a_folder_without_stage_1_is_refused_in_one_line(tmp_path):
    with pytest.raises(
        deepfloyd.ModelError, match=r"deepfloyd: \S+ has no stage_1/; save DeepFloyd/IF-I-XL-v1.0 there"
    ):
        deepfloyd.load(tmp_path, "")


def test_a_missing_later_stage_is_named(model):
    with pytest.raises(deepfloyd.ModelError, match=r"stage_2/ is missing beside stage_1/"):
        model.enlarge(torch.zeros(3, 64, 64), PROMPT, seeded())

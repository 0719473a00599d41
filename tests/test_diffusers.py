"""Stages 1 and 2 of DeepFloyd, against diffusers' own pipelines: the same images to the last bit, in float32."""

from functools import partial

import pytest
import tiny_if
import torch
from diffusers import (
    IFImg2ImgPipeline,
    IFPipeline,
    IFSuperResolutionPipeline,
    StableDiffusionUpscalePipeline,
)

from generators.diffusion import cfg, last, sample, sdedit, strided
from generators.diffusion.batching import run
from generators.models.deepfloyd import disk
from generators.models.deepfloyd.cascade import BY_LAYER, HELD, IN_TURN, DeepFloyd, Spot
from generators.models.deepfloyd.text import Embeddings, encode
from generators.records.errors import ModelError

PROMPT = "a rocket ship"
LEVELS = (1, 3, 5, 7, 10, 20)
LIKE = torch.zeros(3, tiny_if.SIZE, tiny_if.SIZE)
X0 = torch.rand(LIKE.shape, generator=torch.Generator().manual_seed(5)) * 2 - 1
GUIDED = {"guidance_scale": 7.0, "timesteps": strided(), "output_type": "pt", "clean_caption": False}
CPU = torch.device("cpu")


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(42)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_if.save(tmp_path_factory.mktemp("tiny-if"), later=True)


@pytest.fixture(scope="module")
def embeddings(folder):
    kept = Embeddings(folder / "embeddings", "tiny")
    encode(["", PROMPT, "a dog"], kept, folder / "stage_1", CPU)
    return kept


def aligned(pipeline):
    """The same network, its weights in memory of their own.

    diffusers leaves them in the mapped file, where they begin anywhere; MKL may then add up in another order.
    """
    with torch.no_grad():
        for parameter in pipeline.unet.parameters():
            parameter.data = parameter.data.clone()
    return pipeline


def loaded(folder, embeddings, offloading=HELD, stages=("stage_1", "stage_2", "stage_3")):
    spots = {stage: Spot(CPU, offloading, 32) for stage in stages}
    cascade = DeepFloyd("deepfloyd", {stage: folder / stage for stage in stages}, spots, embeddings.read)
    cascade.side = 16
    return cascade


@pytest.fixture(scope="module")
def model(folder, embeddings):
    return loaded(folder, embeddings)


@pytest.fixture(scope="module")
def pipeline(folder):
    """diffusers' own stage 1."""
    found = aligned(IFPipeline.from_pretrained(folder / "stage_1", **tiny_if.UNCHECKED))
    found.set_progress_bar_config(disable=True)
    return found


@pytest.fixture(scope="module")
def sampled(pipeline):
    """diffusers' own sample."""
    return _shown(pipeline(PROMPT, height=16, width=16, generator=seeded(), **GUIDED).images)


@pytest.fixture(scope="module")
def edited(pipeline):
    """diffusers' own SDEdit at each of the six levels."""
    editing = IFImg2ImgPipeline(**pipeline.components, requires_safety_checker=False)
    editing.set_progress_bar_config(disable=True)
    return {
        i: _shown(editing(PROMPT, image=X0[None], strength=(34 - i) / 34, generator=seeded(), **GUIDED).images)
        for i in LEVELS
    }


@pytest.fixture(scope="module")
def enlarged(folder, pipeline):
    """diffusers' own enlargement of X0, with its defaults but for the caption: 50 steps, guidance 4, level 250."""
    second = aligned(IFSuperResolutionPipeline.from_pretrained(folder / "stage_2", **tiny_if.UNCHECKED))
    second.set_progress_bar_config(disable=True)
    positive, negative = pipeline.encode_prompt(PROMPT, clean_caption=False)
    return _shown(
        second(
            prompt_embeds=positive, negative_prompt_embeds=negative, image=X0[None], generator=seeded(),
            output_type="pt", clean_caption=False,
        ).images
    )  # fmt: skip


def _shown(images):
    (image,) = images
    return image


def guided(model):
    return cfg(model.noise(PROMPT), model.noise(""), 7.0)


def sampling(model):
    return last(sample(model.schedule, guided(model), strided(), seeded(), LIKE))


def editing(model, i_start):
    return last(sdedit(model.schedule, guided(model), strided(i_start=i_start), seeded(), X0))


def enlarging(model):
    return model.second.enlarge(X0, PROMPT, seeded())


def test_the_schedule_is_deepfloyds(model):
    assert (model.schedule.threshold, model.schedule.quantile) == (1.5, 0.95)
    assert model.schedule.abar.dtype == torch.float32
    assert (model.second.schedule.threshold, model.second.timesteps) == (1.0, list(range(0, 1000, 20))[::-1])


def test_an_embedding_is_diffusers_to_the_last_bit(pipeline, embeddings):
    positive, negative = pipeline.encode_prompt(PROMPT, clean_caption=False)
    assert torch.equal(embeddings.read(PROMPT), positive)
    assert torch.equal(embeddings.read(""), negative)


def test_the_two_halves_of_the_answer_are_the_noise_and_the_variance(model, pipeline):
    x, t = torch.randn(LIKE.shape, generator=seeded()), 690
    with torch.inference_mode():
        embeds, _ = pipeline.encode_prompt(PROMPT, do_classifier_free_guidance=False, clean_caption=False)
        six = pipeline.unet(x[None], t, encoder_hidden_states=embeds).sample[0]
    noise = model.noise(PROMPT)(x, t)
    assert torch.equal(noise.eps, six[:3])
    assert torch.equal(noise.frac, (six[3:] + 1) / 2)


def test_a_guided_sample_is_diffusers_bit_for_bit(model, sampled):
    """34 steps, gamma 7, seed 42; conditional and unconditional in one call, as diffusers has them."""
    (task,) = run([partial(sampling, model)])
    assert torch.equal(task.result, sampled)
    assert sampled.abs().max() <= 1
    assert sampled.std() > 0.1


@pytest.mark.parametrize("i_start", LEVELS)
def test_sdedit_is_diffusers_bit_for_bit(model, edited, i_start):
    (task,) = run([partial(editing, model, i_start)])
    assert torch.equal(task.result, edited[i_start])


def test_an_enlargement_is_diffusers_bit_for_bit(model, enlarged):
    """Both stages' draws, the noise on the smaller image, its level, guidance and thresholding included."""
    (task,) = run([partial(enlarging, model)])
    assert torch.equal(task.result, enlarged)
    assert enlarged.shape == (3, 4 * tiny_if.SIZE, 4 * tiny_if.SIZE)
    assert enlarged.std() > 0.1


def test_outside_run_and_beside_others_it_is_diffusers_up_to_rounding(model, sampled, edited, enlarged):
    """One image a forward, or fourteen: kernels may add up in another order."""
    torch.testing.assert_close(sampling(model), sampled, rtol=0, atol=1e-4)
    torch.testing.assert_close(editing(model, 10), edited[10], rtol=0, atol=1e-4)
    first, second, *others = run(
        [partial(sampling, model), partial(enlarging, model), *(partial(editing, model, i) for i in LEVELS)]
    )
    torch.testing.assert_close(first.result, sampled, rtol=0, atol=1e-4)
    torch.testing.assert_close(second.result, enlarged, rtol=0, atol=1e-4)
    for i, task in zip(LEVELS, others, strict=True):
        torch.testing.assert_close(task.result, edited[i], rtol=0, atol=1e-4)


@pytest.fixture(scope="module")
def upscaled(folder):
    """diffusers' own enlargement of X0 by stage 3, as IF's README asks for it."""
    third = aligned(StableDiffusionUpscalePipeline.from_pretrained(folder / "stage_3"))
    third.set_progress_bar_config(disable=True)
    shown = (X0[None] + 1) / 2
    told = {"noise_level": 100, "guidance_scale": 9.0, "generator": seeded(), "output_type": "pt"}
    return _shown(third(PROMPT, shown, **told).images) * 2 - 1


@pytest.mark.parametrize("offloading", [HELD, IN_TURN, BY_LAYER])
def test_however_the_weights_come_all_stages_draw_the_same_to_the_bit(
    folder, embeddings, sampled, enlarged, upscaled, offloading
):
    """On the processor, whose memory the weights come to and go from."""
    one = loaded(folder, embeddings, offloading)
    for work, expected in ((sampling, sampled), (enlarging, enlarged), (sampling, sampled)):
        (task,) = run([partial(work, one)])
        assert torch.equal(task.result, expected)
    assert torch.equal(one.third.enlarge(X0, PROMPT, seeded()), upscaled)
    assert upscaled.std() > 0.01


def test_t5_layer_by_layer_is_t5_to_the_bit(embeddings, pipeline):
    for prompt in ("", PROMPT, "a dog"):
        with torch.inference_mode():
            expected, _ = pipeline.encode_prompt(prompt, do_classifier_free_guidance=False, clean_caption=False)
        assert torch.equal(embeddings.read(prompt), expected)


def test_t5s_file_is_read_once_for_all_prompts(folder, tmp_path, monkeypatch):
    asked, usual = [], disk.Tensors.__getitem__
    monkeypatch.setattr(disk.Tensors, "__getitem__", lambda self, name: asked.append(name) or usual(self, name))
    encode(["", PROMPT, "a dog"], Embeddings(tmp_path, "tiny"), folder / "stage_1", CPU)
    assert len(asked) == len(set(asked))
    assert len(asked) > 10


def test_each_guided_step_is_one_call_of_two_images(model, sampled):
    meter = model.meter
    calls, evaluations = meter.calls, meter.evaluations
    run([partial(sampling, model)])
    assert (meter.calls - calls, meter.evaluations - evaluations) == (34, 68)
    run([partial(enlarging, model)])
    assert (meter.calls - calls, meter.evaluations - evaluations) == (84, 168)


def test_the_prompt_and_the_level_matter(model, sampled, edited):
    """So that equality above says something: no two of these images are near to each other."""
    (other,) = run([lambda: last(sample(model.schedule, model.noise("a dog"), strided(), seeded(), LIKE))])
    images = [sampled, other.result, *edited.values()]
    for k, one in enumerate(images):
        assert all((one - two).abs().max() > 0.01 for two in images[:k])


def test_an_enlargement_depends_on_the_image_and_the_prompt(model, enlarged):
    for image, prompt in ((X0, "a dog"), (-X0, PROMPT)):
        (other,) = run([partial(model.second.enlarge, image, prompt, seeded())])
        assert (other.result - enlarged).abs().max() > 0.01


def test_a_missing_later_stage_is_named(folder, embeddings):
    model = loaded(folder, embeddings, stages=("stage_1",))
    with pytest.raises(ModelError, match=r"deepfloyd: stage_2/ is missing beside stage_1/"):
        model.enlarge(X0, PROMPT, seeded())


def test_a_prompt_that_was_not_encoded_is_refused_in_one_line(model):
    with pytest.raises(ModelError, match=r"^the prompt “a boat” has no embedding; prepare the model with it"):
        model.noise("a boat")(LIKE, 500)

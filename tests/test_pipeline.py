"""pocket as a diffusers pipeline: it draws what the report draws, in every size, and refuses what it cannot draw."""

import shutil

import numpy as np
import pytest
import torch
from another_device import another_device
from diffusers import DiffusionPipeline
from diffusers.utils import dynamic_modules_utils
from PIL import Image

from generators import models, pipeline
from generators.diffusion import batching, strided
from generators.lab import Lab
from generators.running.run import load_section
from generators.running.session import Observer, Session

PROMPT, SHORT = "an oil painting of a fox", {"stride": 300}
AS_ARRAY = {"output_type": "np", **SHORT}


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
        x = lab.sample(lab.guided(PROMPT), k, SHORT["stride"])
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


# --- what users of diffusers type


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def test_a_generator_draws_what_its_seed_does_and_moves_on(pocket):
    same = pocket(PROMPT, seed=43, **AS_ARRAY).images
    generator = seeded(43)
    assert np.array_equal(pocket(PROMPT, generator=generator, **AS_ARRAY).images, same)
    assert not np.allclose(pocket(PROMPT, generator=generator, **AS_ARRAY).images, same, atol=1e-2)


def test_one_generator_serves_all_images_and_a_list_each(pocket):
    arguments = {"num_images_per_prompt": 2, **AS_ARRAY}
    listed = pocket([PROMPT, "a skull"], generator=[seeded(seed) for seed in (42, 43, 42, 43)], **arguments).images
    assert np.array_equal(listed, pocket([PROMPT, "a skull"], **arguments).images)
    first, second = pocket(PROMPT, generator=seeded(42), **arguments).images
    assert not np.allclose(first, second, atol=1e-2)
    again = pocket(PROMPT, generator=seeded(42), **arguments).images
    assert np.array_equal(again, np.stack([first, second]))


def test_a_generator_draws_for_the_later_stages_too(pocket):
    one, two = (pocket(PROMPT, 256, generator=seeded(seed), **AS_ARRAY).images for seed in (42, 43))
    assert one.shape == (1, 256, 256, 3)
    assert not np.allclose(one, two, atol=1e-2)


@pytest.mark.parametrize("stride", [10, 20, 30, 40])
def test_a_number_of_steps_is_that_strides_if_one_has_it(stride):
    assert pipeline._spaced(len(strided(stride))) == strided(stride)


def test_every_number_of_steps_is_taken_exactly(pocket):
    for count in range(2, 1001):
        found = pipeline._spaced(count)
        assert len(found) == len(set(found)) == count
        assert (found[-1], found) == (0, sorted(found, reverse=True))
    steps = []
    pocket(PROMPT, num_inference_steps=7, callback_on_step_end=lambda pipe, step, t, kept: steps.append((step, int(t))))
    assert steps == list(enumerate(pipeline._spaced(7)))


@pytest.mark.parametrize("size", [{"height": 256}, {"width": 256}, {"height": 256, "width": 256}, {"pixels": 256}])
def test_a_size_is_given_in_pixels_or_as_height_and_width(pocket, size):
    assert pocket(PROMPT, **size, **SHORT).images[0].size == (256, 256)


def test_a_negative_prompt_takes_the_place_of_the_empty_one(pocket):
    plain = pocket([PROMPT, "a skull"], **AS_ARRAY).images
    assert np.array_equal(pocket([PROMPT, "a skull"], negative_prompt="", **AS_ARRAY).images, plain)
    away = pocket([PROMPT, "a skull"], negative_prompt=["a rocket", ""], **AS_ARRAY).images
    assert not np.allclose(away[0], plain[0], atol=1e-2)
    assert np.allclose(away[1], plain[1], atol=1e-4)


def test_a_callback_sees_every_step_of_all_images_and_may_replace_them(pocket):
    seen = []

    def shown(pipe, step, t, given):
        assert pipe is pocket
        seen.append((step, int(t), tuple(given["latents"].shape)))
        return given

    plain = pocket(PROMPT, num_images_per_prompt=2, **AS_ARRAY).images
    told = pocket(
        PROMPT, num_images_per_prompt=2, callback_on_step_end=shown,
        callback_on_step_end_tensor_inputs=["latents"], **AS_ARRAY,
    )  # fmt: skip
    assert seen == [(step, t, (2, 3, 64, 64)) for step, t in enumerate(strided(SHORT["stride"]))]
    assert np.array_equal(told.images, plain)
    white = pocket(PROMPT, callback_on_step_end=lambda *_: {"latents": torch.ones(1, 3, 64, 64)}, **AS_ARRAY).images
    assert (white == 1).all()


def test_it_returns_a_tuple_on_request(pocket):
    (images,) = pocket(PROMPT, return_dict=False, **AS_ARRAY)
    assert np.array_equal(images, pocket(PROMPT, **AS_ARRAY).images)


def test_the_progress_bar_ends_full_and_can_be_turned_off(pocket, capsys):
    pocket.set_progress_bar_config(disable=False)
    pocket(PROMPT, 256, num_images_per_prompt=2, **SHORT)
    pocket.set_progress_bar_config(disable=True)
    assert "100%" in capsys.readouterr().err
    pocket(PROMPT, **SHORT)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(("wrong", "why"), [
    ({"pixels": 128}, "64, 256 or 1024"),
    ({"height": 256, "width": 64}, "64 and 256 pixels"),
    ({"pixels": 64, "height": 256}, "64 and 256 pixels"),
    ({"height": 100}, "64, 256 or 1024"),
    ({"prompt": []}, "nothing to draw"),
    ({"generator": [torch.Generator()] * 2}, "generator: 2 for 1 images"),
    ({"negative_prompt": ["a", "b"]}, "negative_prompt: 2 for 1 prompts"),
    ({"num_inference_steps": 1}, "2 to 1000"),
    ({"num_inference_steps": 1001}, "2 to 1000"),
    ({"callback_on_step_end_tensor_inputs": ["prompt_embeds"]}, "only latents"),
    ({"num_images_per_prompt": 0}, "nothing to draw"),
])  # fmt: skip
def test_what_it_cannot_draw_is_refused_in_one_line(pocket, wrong, why):
    with pytest.raises(ValueError, match=why) as raised:
        pocket(**{"prompt": PROMPT, **wrong})
    assert "\n" not in str(raised.value)


def test_other_types_than_float32_are_refused_in_one_line(pocket):
    try:
        with pytest.raises(ValueError, match=r"float16; pocket computes in float32") as raised:
            pocket.to(torch.float16)(PROMPT)
    finally:
        pocket.to(torch.float32)
    assert "\n" not in str(raised.value)


# --- other devices


@pytest.fixture
def moved(pocket):
    """The pipeline on another device than the CPU; it comes back as it was."""
    kept = {name: {key: each.clone() for key, each in part.state_dict().items()} for name, part in networks(pocket)}
    with another_device() as device:
        yield pocket.to(device)
        pocket.to("cpu")
    for name, part in networks(pocket):
        part.load_state_dict(kept[name], assign=True)


def networks(pipe):
    return [(name, part) for name, part in pipe.components.items() if name != "scheduler"]


def test_it_draws_on_another_device_what_it_draws_on_the_cpu(pocket, request):
    arguments = {"pixels": 1024, "negative_prompt": "a rocket", "num_inference_steps": 3, "output_type": "pt"}
    here = pocket(PROMPT, **arguments).images
    there = request.getfixturevalue("moved")(PROMPT, **arguments).images
    assert (str(here.device), str(there.device)) == ("cpu", "meta")
    assert torch.allclose(there.cpu(), here, atol=1e-4)


@pytest.mark.parametrize("section_id", ["1.2", "1.3", "1.7.2", "1.8", "1.10"])
def test_a_section_drawn_on_another_device_is_that_of_the_cpu(tiny_pocket, tmp_path, section_id):
    """Blurs, masks, projections, views, filters and enlargements move along, and so do the values that are measured."""
    section, about, records = load_section(section_id), {"source": "a test"}, {}
    model = models.load("pocket")
    records["cpu"] = Session(model, Observer()).draw(section, tmp_path / "cpu", about)
    with another_device() as device:
        for network in (model.first.transformer, model.second.net, model.third.net):
            network.to(device)
        model.device = device
        records["meta"] = Session(model, Observer()).draw(section, tmp_path / "meta", about)
    here, there = ([panel for figure in records[name]["figures"] for panel in figure["panels"]] for name in records)
    assert [records[name]["device"] for name in records] == list(records)
    for one, two in zip(here, there, strict=True):
        assert one["found"] == pytest.approx(two["found"], abs=1e-3)
        pixels = [np.asarray(Image.open(tmp_path / name / one["file"])).astype(int) for name in records]
        assert abs(pixels[0] - pixels[1]).max() <= 1

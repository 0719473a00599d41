"""Decompositions of an image, and factorised estimates."""

import pytest
import tiny_if
import torch
import torch.nn.functional as F

from generators import models
from generators.diffusion import (
    Noise,
    colour,
    factorised,
    grey,
    high_pass,
    inpaint,
    last,
    low_pass,
    motion_blur,
    motion_rest,
    resampled,
    sample,
    strided,
)
from generators.models.deepfloyd import weights

DECOMPOSITIONS = {
    "hybrid": (low_pass, high_pass),
    "colour": (grey, colour),
    "motion": (motion_blur, motion_rest),
}


def normal(side: int = 64, seed: int = 42) -> torch.Tensor:
    return torch.randn(3, side, side, generator=torch.Generator().manual_seed(seed))


def network(k):
    return lambda x, t: Noise(torch.tanh(k * x) + x.roll(k, -1), torch.sigmoid(k * x))


@pytest.fixture(params=DECOMPOSITIONS, scope="module")
def parts(request):
    return DECOMPOSITIONS[request.param]


@pytest.mark.parametrize("side", [64, 256])
def test_the_parts_add_up_to_the_image_at_every_size(parts, side):
    x = normal(side)
    torch.testing.assert_close(sum(part(x) for part in parts), x, rtol=0, atol=1e-6)


def test_each_part_is_linear_and_leaves_constants_to_the_first(parts):
    x, y = normal(seed=1).double(), normal(seed=2).double()
    for part in parts:
        torch.testing.assert_close(part(3 * x - y), 3 * part(x) - part(y), rtol=0, atol=1e-12)
    even = torch.full((3, 64, 64), 0.25)
    torch.testing.assert_close(parts[0](even), even, rtol=0, atol=1e-6)


def test_one_estimate_in_all_parts_is_that_estimate(parts):
    x = normal()
    one, all_parts = network(2)(x, 5), factorised([network(2)] * len(parts), parts)(x, 5)
    torch.testing.assert_close(all_parts.eps, one.eps, rtol=0, atol=1e-6)
    assert torch.equal(all_parts.frac, one.frac)


def test_each_part_comes_from_its_own_estimate_and_the_variance_from_the_first(parts):
    x = normal()
    answer = factorised([network(k) for k in range(1, len(parts) + 1)], parts)(x, 5)
    expected = sum(part(network(k)(x, 5).eps) for k, part in enumerate(parts, 1))
    torch.testing.assert_close(answer.eps, expected, rtol=0, atol=1e-6)
    assert torch.equal(answer.frac, network(1)(x, 5).frac)


def test_a_hybrid_filters_the_noise_of_both_estimates_bit_for_bit():
    x = normal()
    answer = factorised((network(1), network(2)), (low_pass, high_pass))(x, 5)
    assert torch.equal(answer.eps, low_pass(network(1)(x, 5).eps) + high_pass(network(2)(x, 5).eps))


def test_parts_without_an_estimate_are_refused():
    with pytest.raises(ValueError, match="1 estimates for 2 parts: each part needs one estimate"):
        factorised([network(1)], (low_pass, high_pass))


# --- held against the code of Factorized Diffusion (in github.com/dangeng/visual_anagrams), written down anew


def test_grey_is_the_mean_of_the_colours():
    x = normal()
    assert torch.equal(grey(x), torch.stack([x.mean(0)] * 3))
    torch.testing.assert_close(colour(x).mean(0), torch.zeros(64, 64), rtol=0, atol=1e-6)


def test_motion_blur_is_theirs_away_from_the_border_which_is_mirrored_here_and_black_there():
    x, kernel = normal(), torch.eye(7)[None, None] / 7
    theirs = F.conv2d(x[:, None], kernel, padding=3)[:, 0]
    inside = (..., slice(3, -3), slice(3, -3))
    torch.testing.assert_close(motion_blur(x)[inside], theirs[inside], rtol=0, atol=1e-6)
    mirrored = F.conv2d(F.pad(x[:, None], (3, 3, 3, 3), mode="reflect"), kernel)[:, 0]
    torch.testing.assert_close(motion_blur(x), mirrored, rtol=0, atol=1e-6)


def test_a_motion_that_the_border_cannot_serve_is_refused():
    for length in (4, 33):
        with pytest.raises(ValueError, match=f"length {length}: must be odd and less than twice the image's 16 pixels"):
            motion_blur(normal(16), length)


# --- a network with a learned variance


def test_all_of_it_draws_with_deepfloyds_learned_variance(tmp_path, monkeypatch):
    monkeypatch.setattr(weights, "CACHE", tmp_path / "cache")
    monkeypatch.setenv("DEEPFLOYD_WEIGHTS", str(tiny_if.save(tmp_path / "weights")))
    models.prepare("deepfloyd", lambda *_: models.Workload(("", "a dog", "a lion"), 9, 0, 0), print)
    model = models.load("deepfloyd")
    a, b = (model.guided(prompt) for prompt in ("a dog", "a lion"))
    x0 = 0.3 * torch.ones(3, 16, 16)
    mask = torch.zeros(1, 16, 16)
    mask[:, 4:9, 5:11] = 1

    def drawn(walk) -> torch.Tensor:
        x = last(walk)
        assert x.isfinite().all()
        assert x.std() > 0.01
        return x

    with torch.inference_mode():
        assert a(x0, 500).frac is not None
        for estimate in (
            factorised((a, b), (grey, colour)),
            factorised((a, b), (motion_blur, motion_rest)),
        ):
            frac = estimate(x0, 500).frac
            assert torch.equal(frac, a(x0, 500).frac)
            drawn(sample(model.schedule, estimate, strided(333), torch.Generator().manual_seed(42), x0))
        generator = torch.Generator().manual_seed(42)
        x = drawn(inpaint(model.schedule, a, resampled(strided(200), 2, 2), generator, x0, mask))
        assert torch.equal(x * (1 - mask), x0 * (1 - mask))

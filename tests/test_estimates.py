"""The algebra of estimates: guidance, means, views, anagrams, hybrids, and the filters that hybrids are made with."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from generators.diffusion import Noise, anagram, cfg, factorised, gaussian_blur, high_pass, low_pass, mean, viewed
from generators.diffusion.filters import SIGMAS, best_blur, kernel_for
from generators.diffusion.views import FLIP, IDENTITY, NEGATIVE, View, flip

T = 480


def normal(*shape: int, seed: int = 42) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def network(seed: int, learned: bool = True):
    """A made-up network: every pixel's answer depends on its place, its neighbours and t."""
    place = normal(3, 34, 36, seed=seed)

    def estimate(x, t):
        eps = torch.tanh(x * place + t / 1000) + 0.3 * x.roll(1, -1)
        return Noise(eps, torch.sigmoid(x - place) if learned else None)

    return estimate


X, A, B, C = normal(3, 34, 36, seed=7), network(1), network(2), network(3)


def same(one: Noise, two: Noise, atol: float = 0.0) -> None:
    torch.testing.assert_close(one.eps, two.eps, rtol=0, atol=atol)
    assert (one.frac is None) == (two.frac is None)
    if one.frac is not None:
        torch.testing.assert_close(one.frac, two.frac, rtol=0, atol=atol)


# --- guidance


def test_gamma_0_is_the_unconditional_estimate():
    assert torch.equal(cfg(A, B, 0)(X, T).eps, B(X, T).eps)


def test_gamma_1_is_the_conditional_estimate():
    same(cfg(A, B, 1)(X, T), A(X, T), atol=1e-6)


def test_guidance_is_linear_in_gamma():
    """eps(gamma) = eps_u + gamma (eps_c - eps_u), at -1 and 7 as between 0 and 1."""
    u, c = B(X, T).eps, A(X, T).eps
    for gamma in (-1, 0.3, 2.5, 7):
        torch.testing.assert_close(cfg(A, B, gamma)(X, T).eps, (1 - gamma) * u + gamma * c, rtol=0, atol=1e-5)


@pytest.mark.parametrize("gamma", [0, 1, 7])
def test_guidance_takes_the_conditionals_variance(gamma):
    assert torch.equal(cfg(A, B, gamma)(X, T).frac, A(X, T).frac)
    assert cfg(network(1, learned=False), B, gamma)(X, T).frac is None


def test_guidance_of_an_estimate_against_itself_is_the_estimate():
    same(cfg(A, A, 7)(X, T), A(X, T))


# --- means


def test_the_mean_is_of_noises_and_of_variances():
    answers = [estimate(X, T) for estimate in (A, B, C)]
    expected = Noise(sum(n.eps for n in answers) / 3, sum(n.frac for n in answers) / 3)
    same(mean(A, B, C)(X, T), expected, atol=1e-6)


def test_the_mean_of_one_or_of_equals_is_that_estimate():
    same(mean(A)(X, T), A(X, T))
    same(mean(A, A)(X, T), A(X, T))


def test_the_mean_without_learned_variances_has_none():
    assert mean(network(1, learned=False), network(2, learned=False))(X, T).frac is None


# --- views


def test_flip_turns_the_rows_and_nothing_else():
    """The one error of a published flip: on (N, 3, H, W), dim 1 would be the channels."""
    for shape in [(6, 5), (3, 6, 5), (2, 3, 6, 5)]:
        x = normal(*shape)
        assert np.array_equal(flip(x).numpy(), x.numpy()[..., ::-1, :])
        assert torch.equal(FLIP.inverse(FLIP(x)), x)
        assert not torch.equal(flip(x), x)


ROLLED = View(lambda x: x.roll(5, -2), lambda x: x.roll(-5, -2), sign=-1)


@pytest.mark.parametrize("view", [FLIP, NEGATIVE, ROLLED])
def test_a_view_and_its_inverse_undo_each_other_in_both_parts(view):
    assert torch.equal(view.inverse(view(X)), X)
    there = viewed(A, view)
    assert torch.equal(there(X, T).eps, view.sign * view.back(A(view(X), T).eps))
    back = View(view.back, view.move, view.sign)
    same(viewed(there, back)(X, T), A(X, T))


@pytest.mark.parametrize("view", [FLIP, NEGATIVE, ROLLED])
def test_a_learned_variance_moves_with_its_pixel_and_keeps_its_sign(view):
    """frac lies in 0 … 1; a view that changes signs must not take it out of there, and sigma with it."""
    seen, frac = A(view(X), T).frac, viewed(A, view)(X, T).frac
    assert 0 <= frac.min() <= frac.max() <= 1
    assert torch.equal(frac, view.back(seen))
    assert torch.equal(frac.flatten().sort().values, seen.flatten().sort().values)
    both = anagram((A, IDENTITY), (B, view))(X, T).frac
    assert 0 <= both.min() <= both.max() <= 1
    assert viewed(network(1, learned=False), view)(X, T).frac is None


def test_the_anagram_is_the_mean_of_the_upright_and_the_turned_back_answer():
    a, b = A(X, T), B(X.flip(-2), T).map(lambda y: y.flip(-2))
    same(anagram((A, IDENTITY), (B, FLIP))(X, T), Noise((a.eps + b.eps) / 2, (a.frac + b.frac) / 2), atol=1e-6)


def test_the_anagram_of_an_equivariant_estimate_is_the_estimate():
    def pixelwise(x, t):
        return Noise(torch.tanh(x) * t / 1000, torch.sigmoid(x))

    same(anagram((pixelwise, IDENTITY), (pixelwise, FLIP))(X, T), pixelwise(X, T), atol=1e-7)
    same(anagram((_blurring, IDENTITY), (_blurring, FLIP))(X, T), _blurring(X, T), atol=1e-6)
    assert not torch.allclose(anagram((A, IDENTITY), (A, FLIP))(X, T).eps, A(X, T).eps, atol=0.1)


def _blurring(x, t):
    return Noise(gaussian_blur(x, 9, 1.5))


def test_the_anagrams_mirror_image_is_the_anagram_with_the_prompts_changed_over():
    swapped = viewed(anagram((B, IDENTITY), (A, FLIP)), FLIP)
    same(anagram((A, IDENTITY), (B, FLIP))(X, T), swapped(X, T), atol=1e-6)


# --- hybrids


def test_the_hybrid_of_an_estimate_with_itself_is_the_estimate():
    same(factorised((A, A), (low_pass, high_pass))(X, T), A(X, T), atol=1e-6)


def test_the_hybrid_filters_noises_and_keeps_the_variance_of_the_far_one():
    answer = factorised((A, B), (low_pass, high_pass))(X, T)
    torch.testing.assert_close(answer.eps, low_pass(A(X, T).eps) + high_pass(B(X, T).eps), rtol=0, atol=0)
    assert torch.equal(answer.frac, A(X, T).frac)


def test_estimates_nest():
    u = network(9)
    nested = factorised((cfg(A, u, 7), anagram((cfg(B, u, 7), IDENTITY), (C, FLIP))), (low_pass, high_pass))(X, T)
    guided_a = u(X, T).eps + 7 * (A(X, T).eps - u(X, T).eps)
    guided_b = u(X, T).eps + 7 * (B(X, T).eps - u(X, T).eps)
    near = (guided_b + C(X.flip(-2), T).eps.flip(-2)) / 2
    torch.testing.assert_close(nested.eps, low_pass(guided_a) + high_pass(near), rtol=0, atol=2e-5)
    assert torch.equal(nested.frac, A(X, T).frac)


# --- filters


def test_low_and_high_pass_add_up_to_the_image():
    torch.testing.assert_close(low_pass(X) + high_pass(X), X, rtol=0, atol=5e-7)


@pytest.mark.parametrize(("kernel", "sigma"), [(3, 0.5), (5, 2.0), (33, 2.0), (33, 8.0)])
def test_the_blur_is_scipys(kernel, sigma):
    expected = gaussian_filter(
        X.double().numpy(), sigma, mode="mirror", axes=(-2, -1), radius=kernel // 2
    )  # mirrored without repeating the border's pixel, cut off at the kernel, of unit sum
    np.testing.assert_allclose(gaussian_blur(X.double(), kernel, sigma).numpy(), expected, rtol=0, atol=1e-12)
    np.testing.assert_allclose(gaussian_blur(X, kernel, sigma).numpy(), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize(("kernel", "sigma"), [(1, 1.0), (5, 2.0), (33, 2.0), (33, 8.0)])
def test_the_blur_keeps_constants(kernel, sigma):
    x = torch.tensor([-0.5, 0.25, 1.0]).view(3, 1, 1).expand(3, 34, 36)
    torch.testing.assert_close(gaussian_blur(x, kernel, sigma), x, rtol=0, atol=1e-6)


def test_the_blur_has_unit_sum_is_symmetric_and_mixes_no_channels():
    x = torch.zeros(3, 65, 65, dtype=torch.float64)
    x[1, 32, 32] = 1
    y = low_pass(x)
    assert y[1].sum().item() == pytest.approx(1, abs=1e-12)
    assert y[0].abs().max() == y[2].abs().max() == 0
    torch.testing.assert_close(y[1], y[1].flip(-1), rtol=0, atol=1e-15)
    torch.testing.assert_close(y[1], y[1].T, rtol=0, atol=1e-15)
    rows = (torch.arange(65.0, dtype=torch.float64) - 32) ** 2
    assert (y[1].sum(1) * rows).sum().item() == pytest.approx(2.0**2, rel=1e-5)  # the course's sigma, 2 pixels
    assert int((y[1].sum(1) > 0).sum()) == 33  # and its kernel


@pytest.mark.parametrize("kernel", [2, 4, 32, 69, 101])
def test_an_even_kernel_or_one_beyond_the_mirrored_border_is_refused(kernel):
    with pytest.raises(ValueError, match=rf"kernel {kernel}: must be odd and less than twice the image's 34 pixels"):
        gaussian_blur(X, kernel, 2.0)


def test_the_best_blur_is_the_best_of_all_and_the_wider_the_noisier():
    x0 = gaussian_blur(normal(3, 64, 64, seed=5), 21, 3.0)
    x0 = x0 / x0.abs().max()
    chosen = []
    for noise in (0.1, 0.4, 1.0):
        x_t = x0 + noise * normal(3, 64, 64, seed=6)
        image, sigma = best_blur(x_t, x0)
        errors = {s: (gaussian_blur(x_t, kernel_for(s), s).clamp(-1, 1) - x0).square().mean().item() for s in SIGMAS}
        assert errors[sigma] == pytest.approx(min(errors.values()), rel=1e-6)
        assert torch.equal(image, gaussian_blur(x_t, kernel_for(sigma), sigma))
        chosen.append(sigma)
    assert chosen == sorted(set(chosen))

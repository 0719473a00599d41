"""The schedule's equations: against closed forms, against published coefficients, against diffusers bit for bit."""

import pytest
import torch
from diffusers import DDPMScheduler
from oracles import cosine

from generators.diffusion import Noise, Schedule, spaced, strided

ABAR = DDPMScheduler(beta_schedule="squaredcos_cap_v2").alphas_cumprod
EXACT = Schedule(cosine())  # float64
SEED = 42


def normal(*shape: int, seed: int = SEED, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


# --- timesteps


def test_thirty_four_timesteps_from_990_to_0():
    assert strided() == [990, 960, 930, *range(900, -1, -30)]
    assert len(strided()) == 34


def test_fifty_and_a_hundred_steps():
    assert strided(20) == list(range(980, -1, -20))
    assert strided(10) == list(range(990, -1, -10))
    assert (len(strided(20)), len(strided(10))) == (50, 100)


def test_i_start_leaves_out_the_noisiest():
    assert strided(i_start=10) == list(range(690, -1, -30))
    assert strided(i_start=10)[::5] == [690, 540, 390, 240, 90]
    assert strided(i_start=33) == [0]


@pytest.mark.parametrize("i_start", [-1, 34, 1000])
def test_i_start_outside_the_timesteps_is_refused_with_their_range(i_start):
    with pytest.raises(ValueError, match=rf"i_start = {i_start}: stride 30 has the indices 0 to 33"):
        strided(i_start=i_start)


# --- the forward process


def test_the_schedule_is_the_cosine_one():
    torch.testing.assert_close(ABAR.double(), cosine(), rtol=2e-4, atol=1e-9)  # float32's product of a thousand


@pytest.mark.parametrize("t", [0, 1, 250, 500, 750, 999])
def test_forward_is_equation_4(t):
    x0, eps = normal(3, 8, 8, seed=1, dtype=torch.float64), normal(3, 8, 8, dtype=torch.float64)
    expected = cosine()[t].sqrt() * x0 + (1 - cosine()[t]).sqrt() * eps
    torch.testing.assert_close(EXACT.forward(x0, t, eps), expected, rtol=0, atol=1e-15)


@pytest.mark.parametrize("t", [0, 250, 500, 750, 999])
def test_forward_is_diffusers_add_noise_bit_for_bit(t):
    x0, eps = normal(3, 8, 8, seed=1), normal(3, 8, 8)
    scheduler = DDPMScheduler(beta_schedule="squaredcos_cap_v2")
    assert torch.equal(
        Schedule(ABAR).forward(x0, t, eps), scheduler.add_noise(x0[None], eps[None], torch.tensor([t]))[0]
    )


@pytest.mark.parametrize("t", [0, 250, 500, 750, 999])
def test_forward_has_mean_sqrt_abar_x0_and_variance_1_minus_abar(t):
    eps = normal(3, 256, 256)
    x = Schedule(ABAR).forward(torch.full_like(eps, 0.7), t, eps).double()
    std, count = (1 - ABAR[t].double()).sqrt(), eps.numel()
    assert abs(x.mean() - ABAR[t].double().sqrt() * 0.7) < 4 * std / count**0.5
    assert abs(x.std() - std) < 4 * std / (2 * count) ** 0.5


def test_the_clean_image_is_at_none():
    x0 = normal(3, 8, 8)
    assert torch.equal(Schedule(ABAR).forward(x0, None, normal(3, 8, 8, seed=1)), x0)


@pytest.mark.parametrize("t", [0, 1, 250, 690, 990, 999])
def test_one_step_with_the_true_noise_inverts_forward(t):
    x0, eps = normal(3, 8, 8, seed=1, dtype=torch.float64), normal(3, 8, 8, dtype=torch.float64)
    back = EXACT.one_step(EXACT.forward(x0, t, eps), t, Noise(eps))
    torch.testing.assert_close(back, x0, rtol=0, atol=2e-15 / cosine()[t].sqrt().item())


def test_one_step_does_not_clip():
    x0, eps = 5 * normal(3, 8, 8, seed=1), normal(3, 8, 8)
    schedule = Schedule(ABAR, threshold=1.5)
    torch.testing.assert_close(
        schedule.one_step(schedule.forward(x0, 500, eps), 500, Noise(eps)), x0, rtol=0, atol=1e-5
    )


def test_eps_of_inverts_forward_and_one_step_in_a_batch_of_different_t():
    t = torch.tensor([0, 30, 500, 990])
    x0, eps = normal(4, 3, 8, 8, seed=1, dtype=torch.float64), normal(4, 3, 8, 8, dtype=torch.float64)
    x = torch.stack([EXACT.forward(a, int(n), b) for a, n, b in zip(x0, t, eps, strict=True)])
    answer = EXACT.eps_of(x, t, x0)
    torch.testing.assert_close(answer, eps, rtol=0, atol=1e-12)
    back = torch.stack([EXACT.one_step(x[k], int(t[k]), Noise(answer[k])) for k in range(4)])
    torch.testing.assert_close(back, x0, rtol=0, atol=1e-12)


# --- one step back


def x_coefficient(schedule: Schedule, t: int, t_next: int | None) -> float:
    """What a step multiplies x_t by: its answer to x_t = 1 where the estimate of x_0 is 0."""
    x = torch.ones(1, 1, 1, dtype=schedule.abar.dtype)
    return schedule.step(x, t, t_next, Noise(x / (1 - schedule.abar[t]) ** 0.5), None).item()


def x0_coefficient(schedule: Schedule, t: int, t_next: int | None) -> float:
    """What a step multiplies x_0 by: its answer to x_t = 0 where the estimate of x_0 is 1."""
    x = torch.zeros(1, 1, 1, dtype=schedule.abar.dtype)
    eps = -((schedule.abar[t] / (1 - schedule.abar[t])) ** 0.5)
    return schedule.step(x, t, t_next, Noise(x + eps), None).item()


@pytest.mark.parametrize(
    ("t", "t_next", "right", "misprint"), [(690, 660, 0.873, 0.509), (390, 360, 0.844, 1.303), (90, 60, 0.481, 4.49)]
)
def test_the_coefficient_of_x_t_is_ho_et_als_and_not_the_misprint(t, t_next, right, misprint):
    coefficient = x_coefficient(Schedule(ABAR), t, t_next)
    assert coefficient == pytest.approx(right, abs=5e-4)
    assert ((ABAR[t] * (1 - ABAR[t_next])).sqrt() / (1 - ABAR[t])).item() == pytest.approx(misprint, abs=5e-3)


@pytest.mark.parametrize(("t", "t_next"), [(990, 960), (690, 660), (390, 360), (90, 60), (30, 0), (980, 0), (0, None)])
def test_a_step_is_the_posterior_of_x_t_next_given_x_t_and_x_0(t, t_next):
    """By Bayes from two Gaussians: x_t' given x_0, and x_t given x_t'. Precisions add, and so do weighted means."""
    abar, abar_next = EXACT.abar[t].item(), 1.0 if t_next is None else EXACT.abar[t_next].item()
    alpha = abar / abar_next
    if t_next is None:
        from_x, from_x0, variance = 0.0, 1.0, 0.0
    else:
        precision = 1 / (1 - abar_next) + alpha / (1 - alpha)
        from_x = alpha**0.5 / (1 - alpha) / precision
        from_x0 = abar_next**0.5 / (1 - abar_next) / precision
        variance = 1 / precision
    assert x_coefficient(EXACT, t, t_next) == pytest.approx(from_x, abs=1e-12)
    assert x0_coefficient(EXACT, t, t_next) == pytest.approx(from_x0, abs=1e-12)
    assert EXACT.sigma(t, t_next, None).item() == pytest.approx(variance**0.5, abs=1e-9)


def test_the_learned_variance_lies_between_its_bounds():
    """frac 0 is beta-tilde, 1 is beta, and half-way is their geometric mean."""
    low, middle, high = (EXACT.sigma(690, 660, torch.tensor(frac, dtype=torch.float64)) for frac in (0.0, 0.5, 1.0))
    beta = 1 - EXACT.abar[690] / EXACT.abar[660]
    assert low.item() == pytest.approx(EXACT.sigma(690, 660, None).item(), rel=1e-12)
    assert high.item() == pytest.approx(beta.sqrt().item(), rel=1e-12)
    assert middle.item() == pytest.approx((low * high).sqrt().item(), rel=1e-12)
    assert low < middle < high


@pytest.mark.parametrize("reach", [0.3, 1.2, 5.0])
@pytest.mark.parametrize("stride", [30, 20, 10])
@pytest.mark.parametrize("thresholding", [False, True])
@pytest.mark.parametrize("variance", ["fixed_small", "learned_range"])
def test_a_step_is_diffusers_bit_for_bit(variance, thresholding, stride, reach):
    """With z of the same generator, at the first, the last and other timesteps; reach: how far x_0's estimate goes."""
    options = {"thresholding": thresholding, "dynamic_thresholding_ratio": 0.95, "sample_max_value": 1.5}
    scheduler = DDPMScheduler(beta_schedule="squaredcos_cap_v2", variance_type=variance, clip_sample=True, **options)
    scheduler.set_timesteps(timesteps=strided(stride))
    schedule = Schedule(scheduler.alphas_cumprod, threshold=1.5 if thresholding else 1.0)
    following = dict(zip(strided(stride), [*strided(stride)[1:], None], strict=True))
    x0, eps, v = (normal(3, 16, 16, seed=k) for k in range(3))
    learned = variance == "learned_range"
    for t in [*strided(stride)[:2], *strided(stride)[5::6], *strided(stride)[-3:]]:
        x = schedule.forward(reach * x0, t, eps)
        answer = torch.cat([eps, v.tanh()])[None] if learned else eps[None]
        theirs = scheduler.step(answer, t, x[None], generator=torch.Generator().manual_seed(SEED)).prev_sample[0]
        z = None if following[t] is None else normal(3, 16, 16)
        ours = schedule.step(x, t, following[t], Noise(eps, (v.tanh() + 1) / 2 if learned else None), z)
        assert torch.equal(ours, theirs), t
    assert following[t] is None


@pytest.mark.parametrize("quantile", [0.8, 0.95])
def test_thresholding_scales_by_the_quantile_between_1_and_its_limit(quantile):
    schedule = Schedule(ABAR, threshold=1.5, quantile=quantile)
    for reach in (0.1, 0.6, 0.7, 9.0):
        x0 = reach * normal(3, 16, 16)
        s = min(1.5, max(1.0, torch.quantile(x0.abs().flatten(), quantile).item()))
        torch.testing.assert_close(schedule.clip(x0), x0.clamp(-s, s) / s, rtol=0, atol=1e-6)
        assert schedule.clip(x0).abs().max() <= 1


def test_any_number_of_steps_takes_the_timesteps_of_diffusers():
    scheduler = DDPMScheduler()
    for steps in range(1, 1001):
        scheduler.set_timesteps(steps)
        assert spaced(steps) == scheduler.timesteps.tolist(), steps
        assert len(spaced(steps)) == steps
    assert (spaced(75)[0], spaced(20)[0], spaced(1000)[0]) == (962, 950, 999)
    assert (spaced(50), spaced(100)) == (strided(20), strided(10))
    for steps in (0, 1001):
        with pytest.raises(ValueError, match=f"^{steps} steps: choose 1 to 1000$"):
            spaced(steps)

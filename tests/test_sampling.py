"""The one sampling loop, held against data whose noise is known exactly."""

import math
from itertools import pairwise

import oracles
import pytest
import torch

from generators.diffusion import Schedule, iterative_denoise, keep_known, last, sample, sdedit, strided
from generators.diffusion.batching import run
from generators.diffusion.sampling import gaussian

ABAR = oracles.cosine().float()
SCHEDULE, UNCLIPPED = Schedule(ABAR), oracles.Unclipped(ABAR)
MANY = torch.zeros(3, 160, 160)  # so many independent pixels, each a sample of its own
MODES = torch.rand(3, 3, 8, 8, generator=torch.Generator().manual_seed(3)) * 1.6 - 0.8
WEIGHTS = torch.tensor([0.2, 0.5, 0.3])


def seeded(seed: int = 42) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def counted(estimate):
    """The estimate, and the list of the timesteps at which it was asked."""
    asked = []

    def counting(x, t):
        asked.append(t)
        return estimate(x, t)

    return counting, asked


def recursion(
    mean: float, variance: float, mu: float, s: float, timesteps: list[int], abar: torch.Tensor | None = None
) -> tuple[float, float]:
    """Mean and variance at the end of the walk, for data N(mu, s^2): every step is linear in x_t and adds a Gaussian.

    x_t' = A E[x_0 | x_t] + B x_t + sigma z, with E[x_0 | x_t] = g x_t + (1 - g sqrt(abar)) mu.
    """
    abars = [*(oracles.cosine() if abar is None else abar)[timesteps].tolist(), 1.0]
    for a, b in pairwise(abars):
        g = s**2 * math.sqrt(a) / (a * s**2 + 1 - a)
        x0_part, x_part = math.sqrt(b) * (1 - a / b) / (1 - a), math.sqrt(a / b) * (1 - b) / (1 - a)
        fresh = (1 - b) / (1 - a) * (1 - a / b)  # beta-tilde; 0 in the last step
        mean = x0_part * (g * mean + (1 - g * math.sqrt(a)) * mu) + x_part * mean
        variance = (x0_part * g + x_part) ** 2 * variance + fresh
    return mean, variance


def holds(x: torch.Tensor, mean: float, variance: float) -> None:
    """Mean and std of independent pixels agree with these within four standard errors."""
    std, count = math.sqrt(variance), x.numel()
    assert x.double().mean().item() == pytest.approx(mean, abs=4 * std / math.sqrt(count))
    assert x.double().std().item() == pytest.approx(std, abs=4 * std / math.sqrt(2 * count))


# --- Gaussian data


@pytest.mark.parametrize("stride", [30, 20, 10])
@pytest.mark.parametrize(("mu", "s"), [(0.0, 0.5), (0.2, 0.5), (-0.3, 0.1)])
def test_samples_of_gaussian_data_have_the_moments_of_the_closed_form(mu, s, stride):
    mean, variance = recursion(0.0, 1.0, mu, s, strided(stride))
    x = last(sample(UNCLIPPED, oracles.gaussian(UNCLIPPED, mu, s), strided(stride), seeded(), MANY))
    holds(x, mean, variance)


@pytest.mark.parametrize(("name", "std"), [("linear", 0.424), ("cosine", 0.455)])
def test_at_stride_30_a_standard_deviation_of_a_half_comes_out_smaller(name, std):
    """0.424 on Ho et al.'s linear schedule, a published number; DeepFloyd's cosine schedule loses less."""
    linear = (1 - torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64)).cumprod(0)
    abar = {"linear": linear, "cosine": oracles.cosine()}[name]
    mean, variance = recursion(0.0, 1.0, 0.0, 0.5, strided(), abar)
    assert math.sqrt(variance) == pytest.approx(std, abs=5e-4)
    schedule = oracles.Unclipped(abar.float())
    holds(last(sample(schedule, oracles.gaussian(schedule, 0.0, 0.5), strided(), seeded(), MANY)), mean, variance)


def test_where_the_clip_never_bites_it_changes_nothing():
    """Data well inside -1 … 1, with a clipping schedule and with a thresholding one."""
    free = last(sample(UNCLIPPED, oracles.gaussian(UNCLIPPED, 0.1, 0.05), strided(), seeded(), MANY))
    for schedule in (SCHEDULE, Schedule(ABAR, threshold=1.5)):
        assert torch.equal(
            last(sample(schedule, oracles.gaussian(schedule, 0.1, 0.05), strided(), seeded(), MANY)), free
        )


@pytest.mark.parametrize("i_start", [1, 3, 5, 7, 10, 20])
def test_sdedit_of_one_image_has_the_moments_of_the_closed_form(i_start):
    """From x_0 = 0.8 in every pixel: fewer steps stay nearer to it, more steps come nearer to the data."""
    timesteps = strided(i_start=i_start)
    abar = oracles.cosine()[timesteps[0]].item()
    mean, variance = recursion(math.sqrt(abar) * 0.8, 1 - abar, 0.0, 0.3, timesteps)
    x0 = torch.full_like(MANY, 0.8)
    holds(last(sdedit(UNCLIPPED, oracles.gaussian(UNCLIPPED, 0.0, 0.3), timesteps, seeded(), x0)), mean, variance)


# --- mixtures


def test_samples_of_a_mixture_land_on_its_modes():
    estimate = oracles.mixture(SCHEDULE, MODES, WEIGHTS, 0.01)
    for seed in range(8):
        x = last(sample(SCHEDULE, estimate, strided(), seeded(seed), MODES[0]))
        rms = (x - MODES).square().mean((1, 2, 3)).sqrt()
        assert rms.min() < 0.015  # the mode's own width, 0.01, and what is left of the noise
        assert rms.sort().values[1] > 0.3


def test_samples_of_a_mixture_choose_its_modes_in_proportion():
    """Each pixel chooses a mode independently, with stride 5: stride 30 gives only rough proportions."""
    modes = torch.tensor([-0.8, 0.0, 0.7]).view(3, 1, 1, 1)
    estimate = oracles.mixture(SCHEDULE, modes, WEIGHTS, 0.02, each_pixel=True)
    like = torch.zeros(3, 64, 64)
    for stride, tolerance in ((5, 0.015), (30, 0.05)):
        x = last(sample(SCHEDULE, estimate, strided(stride), seeded(), like))
        away = (x - modes).abs()
        assert (away.min(0).values < 0.1).double().mean() > 0.995
        shares = away.argmin(0).flatten().bincount(minlength=3) / like.numel()
        torch.testing.assert_close(shares, WEIGHTS, rtol=0, atol=tolerance)


# --- the trajectory


def test_the_trajectory_yields_its_start_every_level_and_the_clean_end():
    estimate, asked = counted(oracles.gaussian(SCHEDULE, 0.0, 0.3))
    x = torch.randn(3, 8, 8, generator=seeded())
    walk = list(iterative_denoise(SCHEDULE, estimate, x, strided(), seeded(1)))
    assert [t for t, _ in walk] == [*range(990, -1, -30), None]
    assert walk[0][1] is x
    assert asked == strided()
    assert len(asked) == 34
    assert torch.equal(last(iter(walk)), walk[-1][1])


def test_each_step_is_the_schedules_with_the_generators_next_noise():
    estimate = oracles.gaussian(SCHEDULE, 0.0, 0.3)
    x, generator = torch.randn(3, 8, 8, generator=seeded()), seeded(1)
    walk = list(iterative_denoise(SCHEDULE, estimate, x, strided(), seeded(1)))
    for (t, x), (t_next, following) in pairwise(walk):
        z = None if t_next is None else torch.randn(3, 8, 8, generator=generator)
        assert torch.equal(schedule_step(x, t, t_next, estimate, z), following)


def schedule_step(x, t, t_next, estimate, z):
    return SCHEDULE.step(x, t, t_next, estimate(x, t), z)


def test_the_last_step_adds_no_noise_and_is_the_one_step_estimate():
    estimate = oracles.gaussian(SCHEDULE, 0.0, 0.3)
    generator = seeded(1)
    state = generator.get_state()
    (_, x), (_, clean) = iterative_denoise(SCHEDULE, estimate, torch.full((3, 8, 8), 0.5), [0], generator)
    torch.testing.assert_close(clean, SCHEDULE.one_step(x, 0, estimate(x, 0)), rtol=0, atol=1e-6)
    assert torch.equal(generator.get_state(), state)


def test_a_sample_starts_from_the_generators_first_draw():
    (t, x), *_ = sample(SCHEDULE, oracles.gaussian(SCHEDULE, 0.0, 0.3), strided(), seeded(), torch.zeros(3, 8, 8))
    assert t == 990
    assert torch.equal(x, torch.randn(3, 8, 8, generator=seeded()))


@pytest.mark.parametrize("i_start", [1, 10, 33])
def test_sdedit_starts_from_the_image_noised_to_its_first_timestep(i_start):
    timesteps = strided(i_start=i_start)
    (t, x), *_ = sdedit(SCHEDULE, oracles.gaussian(SCHEDULE, 0.0, 0.3), timesteps, seeded(), MODES[0])
    assert t == timesteps[0]
    assert torch.equal(x, SCHEDULE.forward(MODES[0], t, torch.randn(3, 8, 8, generator=seeded())))


def test_the_same_seed_gives_the_same_image_and_another_seed_another():
    def drawn(seed):
        return last(sample(SCHEDULE, oracles.gaussian(SCHEDULE, 0.0, 0.3), strided(), seeded(seed), MODES[0]))

    assert torch.equal(drawn(42), drawn(42))
    assert not torch.allclose(drawn(42), drawn(43), atol=0.1)


def test_no_global_seed_is_read_or_set():
    torch.manual_seed(0)
    before = torch.get_rng_state()
    one = last(sample(SCHEDULE, oracles.gaussian(SCHEDULE, 0.0, 0.3), strided(), seeded(), MODES[0]))
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(1)
    two = last(sample(SCHEDULE, oracles.gaussian(SCHEDULE, 0.0, 0.3), strided(), seeded(), MODES[0]))
    assert torch.equal(one, two)


def test_an_image_does_not_depend_on_those_that_are_drawn_with_it():
    def work(k, stride=30):
        return lambda: last(
            sample(SCHEDULE, oracles.mixture(SCHEDULE, MODES, WEIGHTS, 0.01), strided(stride), seeded(k), MODES[0])
        )

    alone = [work(k)() for k in range(3)]
    beside = [task.result for task in run([work(2), work(9, 20), work(0), work(1)])]
    assert all(torch.equal(alone[k], beside[place]) for k, place in ((0, 2), (1, 3), (2, 0)))


def test_noise_is_drawn_in_float32_whatever_it_is_for():
    drawn = gaussian(seeded(), torch.zeros(3, 8, 8))
    assert drawn.dtype == torch.float32
    half = gaussian(seeded(), torch.zeros(3, 8, 8, dtype=torch.bfloat16))
    assert torch.equal(half, drawn.bfloat16())


# --- SDEdit and inpainting


def test_sdedit_comes_back_the_nearer_the_later_it_starts():
    """Distances fall as i_start rises, and near the end the image is all but kept."""
    estimate = oracles.gaussian(SCHEDULE, 0.0, 0.3)
    x0 = torch.rand(3, 64, 64, generator=seeded(5)) * 1.8 - 0.9
    distances = [
        (last(sdedit(SCHEDULE, estimate, strided(i_start=i), seeded(), x0)) - x0).square().mean().sqrt().item()
        for i in (1, 3, 5, 7, 10, 20, 28, 32, 33)
    ]
    assert distances == sorted(distances, reverse=True)
    assert distances[0] > 0.5
    assert distances[-1] < 0.01


def test_sdedit_of_a_mode_returns_to_it_and_from_pure_noise_forgets_it():
    estimate = oracles.mixture(SCHEDULE, MODES, WEIGHTS, 0.01)

    def returns(i_start, seed):
        x = last(sdedit(SCHEDULE, estimate, strided(i_start=i_start), seeded(seed), MODES[0]))
        return bool((x - MODES[0]).square().mean().sqrt() < 0.02)

    assert all(returns(20, seed) for seed in range(10))
    assert sum(returns(0, seed) for seed in range(20)) < 10


def inpainted(estimate, x0, mask, timesteps=None):
    generator = seeded()
    x = gaussian(generator, x0)
    return list(
        iterative_denoise(
            SCHEDULE, estimate, x, timesteps or strided(), generator, keep_known(SCHEDULE, x0, mask, generator)
        )
    )


def test_inpainting_keeps_what_the_mask_leaves_at_0_and_draws_where_it_is_1():
    mask = torch.zeros(1, 8, 8)
    mask[:, 2:6, 3:7] = 1
    x0 = torch.full((3, 8, 8), 0.9)
    x = inpainted(oracles.gaussian(SCHEDULE, -0.5, 0.05), x0, mask)[-1][1]
    new = mask.expand_as(x0) == 1
    assert torch.equal(x[~new], x0[~new])
    assert (x[new] + 0.5).abs().max() < 0.3  # the model's own content, not x_0's


def test_inpainting_holds_the_known_part_at_each_level_of_noise():
    """There x_t' is x_0 noised to t', with noise of the right strength and new at every step."""
    mask, x0 = torch.zeros(1, 64, 64), torch.full((3, 64, 64), 0.4)
    mask[:, :, 32:] = 1
    walk = inpainted(oracles.gaussian(SCHEDULE, 0.0, 0.3), x0, mask)[1:]
    noises = []
    for t, x in walk[:-1]:
        abar = ABAR[t]
        noises.append(((x - abar.sqrt() * x0) / (1 - abar).sqrt())[:, :, :32].double())
        assert noises[-1].mean().abs() < 4 / math.sqrt(noises[-1].numel())
        assert abs(noises[-1].std() - 1) < 4 / math.sqrt(2 * noises[-1].numel())
    assert abs((noises[3] * noises[4]).mean()) < 4 / math.sqrt(noises[3].numel())
    assert torch.equal(walk[-1][1][:, :, :32], x0[:, :, :32])


def test_inpainting_everything_and_nothing():
    """With a mask of ones the projection does nothing; with one of zeros it returns the original image."""
    estimate, x0 = oracles.gaussian(SCHEDULE, 0.0, 0.1), MODES[0]
    assert torch.equal(inpainted(estimate, x0, torch.zeros(1, 8, 8))[-1][1], x0)
    full = inpainted(estimate, x0, torch.ones(1, 8, 8))[-1][1]
    assert full.abs().max() < 0.6
    assert not torch.allclose(full, x0, atol=0.3)


def test_the_hole_agrees_with_its_surroundings():
    """Whole-image modes: with three quarters of a mode known, the rest is that mode's, not another one's."""
    mask = torch.zeros(1, 8, 8)
    mask[:, 4:, 4:] = 1
    estimate = oracles.mixture(SCHEDULE, MODES, WEIGHTS, 0.01)
    for mode in MODES:
        x = inpainted(estimate, mode, mask)[-1][1]
        assert (x - mode).square().mean().sqrt() < 0.02

"""RePaint's resampling: the order of the timesteps, the steps back up, and the loop that goes both ways."""

import itertools

import oracles
import pytest
import torch

from generators.diffusion import Schedule, inpaint, last, resampled, strided
from generators.diffusion.metrics import border_step
from generators.diffusion.sampling import iterative_denoise

SCHEDULE = Schedule(oracles.cosine().float())
UNCLIPPED = oracles.Unclipped(oracles.cosine())


def papers(levels: int, length: int, times: int) -> list[int]:
    """The order of Lugmayr et al.'s published configuration, by its own rule: a counter of the jumps left at every
    `length` levels; whoever comes down to one that has some left uses one up and climbs. Ends at level 0."""
    jumps = dict.fromkeys(range(0, levels - length, length), times - 1)
    order, level = [], levels
    while level > 0:
        level -= 1
        order.append(level)
        if jumps.get(level, 0):
            jumps[level] -= 1
            for _ in range(length):
                level += 1
                order.append(level)
    return order


@pytest.mark.parametrize(
    ("levels", "length", "times"), [(250, 10, 10), (250, 1, 10), (250, 5, 5), (34, 10, 5), (34, 7, 3), (10, 10, 4)]
)
def test_the_order_is_the_papers(levels, length, times):
    timesteps = [4 * level for level in reversed(range(levels))]
    assert resampled(timesteps, length, times) == [4 * level for level in papers(levels, length, times)]


def test_the_papers_figure():
    """T = 250, jump length 10, 10 resamplings: straight down to 230, then ten times down each ten, 4570 transitions."""
    order = resampled(list(reversed(range(250))), 10, 10)
    assert order[:20] == list(range(249, 229, -1))
    assert order[19:41] == [230, *range(231, 241), *range(239, 229, -1), 231]
    assert len(order) == 4570  # of which the last leads to the clean image
    assert order.count(0) == 10
    assert order[-1] == 0
    assert max(order) == 249
    assert all(abs(one - other) == 1 for one, other in itertools.pairwise(order))
    # The levels above 240 are left downwards once, those below ten times.
    downs = [one for one, other in zip(order, [*order[1:], -1], strict=True) if other < one]
    assert (downs.count(245), downs.count(235), downs.count(240)) == (1, 10, 10)


def test_once_is_no_resampling_and_less_is_refused():
    assert resampled(strided(), 10, 1) == strided()
    for length, times in ((0, 5), (5, 0)):
        with pytest.raises(ValueError, match="both must be at least 1"):
            resampled(strided(), length, times)


def test_a_step_up_is_the_forward_process_of_what_lies_between():
    """From x_t to x_t'' at once, or by x_t' between: the same mean, the same variance."""
    t, between, higher = 100, 300, 600
    x, nothing, one = torch.ones(1), torch.zeros(1), torch.ones(1)
    mean = UNCLIPPED.again(UNCLIPPED.again(x, t, between, nothing), between, higher, nothing)
    torch.testing.assert_close(UNCLIPPED.again(x, t, higher, nothing), mean)
    first = UNCLIPPED.again(UNCLIPPED.again(nothing, t, between, one), between, higher, nothing) ** 2
    second = UNCLIPPED.again(nothing, between, higher, one) ** 2
    torch.testing.assert_close(UNCLIPPED.again(nothing, t, higher, one) ** 2, first + second)
    clean, noise = torch.full((1,), 0.7), torch.full((1,), -1.3)
    torch.testing.assert_close(UNCLIPPED.again(clean, None, higher, noise), UNCLIPPED.forward(clean, higher, noise))


def test_the_loop_that_goes_up_as_well_keeps_the_datas_distribution():
    """For Gaussian data the estimate is exact, so resampling changes pictures, and not what they look like."""
    estimate = oracles.gaussian(UNCLIPPED, 0.2, 0.5)
    timesteps = resampled(strided(20), 10, 3)
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(3, 64, 64, generator=generator, dtype=torch.float64)
    walk = list(iterative_denoise(UNCLIPPED, estimate, x, timesteps, generator))
    assert [t for t, _ in walk] == [*timesteps, None]
    assert walk[-1][1].mean().item() == pytest.approx(0.2, abs=0.03)
    once = last(iterative_denoise(UNCLIPPED, estimate, x, strided(20), torch.Generator().manual_seed(0)))
    assert walk[-1][1].std().item() == pytest.approx(once.std().item(), rel=0.03)


def test_resampling_keeps_what_the_mask_leaves_and_fills_the_hole_with_the_estimates():
    x0, mask = torch.full((3, 16, 16), -0.5), torch.zeros(1, 16, 16)
    mask[:, 4:12, 4:12] = 1
    for timesteps in (strided(), resampled(strided(), 10, 3)):
        generator = torch.Generator().manual_seed(2)
        x = last(inpaint(SCHEDULE, oracles.gaussian(SCHEDULE, 0.3, 0.01), timesteps, generator, x0, mask))
        assert torch.equal(x * (1 - mask), x0 * (1 - mask))
        assert border_step(x, mask) == pytest.approx(0.8, abs=0.05)

"""pocket's stage 1: windows and their blending, half resolution, and mixed batches."""

import pytest
import torch

from generators.models.pocket import patches

T = torch.tensor([0, patches.COARSE - 1, patches.COARSE, 999])
FIRST, SECOND = 2 * patches.TURN, 3 * patches.TURN  # timesteps of the two grids


@pytest.fixture(scope="module")
def network():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = patches.denoiser(layers=1, heads=1)
        for parameter in net.parameters():
            torch.nn.init.normal_(parameter, std=0.1)
    return net.eval()


@pytest.fixture
def batch():
    rng = torch.Generator().manual_seed(1)
    x, tokens = torch.randn(4, 3, 64, 64, generator=rng), torch.randn(4, 17, 384, generator=rng)
    return x, tokens, torch.rand(4, 1, 1, 1, generator=rng)


@pytest.mark.parametrize("size", [32, 64])
def test_the_windows_of_an_image_blend_into_that_image(batch, size):
    x = batch[0][..., :size, :size]
    parts = patches.windows(x)
    assert parts.shape == (4, (size // 8) ** 2, 3 * 12 * 12)
    assert torch.allclose(patches.blended(parts, size), x, atol=1e-6)


def test_windows_that_disagree_are_cross_faded():
    parts = torch.zeros(1, 64, 432)
    parts[:, ::2] = 1  # the columns of windows in turn 1 and 0
    row = patches.blended(parts, 64)[0, 0, 32]
    assert torch.allclose(row[:6], torch.ones(6))
    assert torch.allclose(row[6:10], torch.tensor([0.875, 0.625, 0.375, 0.125]))  # across the border at 8
    assert torch.allclose(row[10:14], torch.zeros(4))
    assert (row.diff().abs() <= 0.2501).all()


def test_noise_keeps_its_variance_where_a_picture_is_halved():
    rng = torch.Generator().manual_seed(0)
    abar = torch.tensor(0.3).view(1, 1, 1, 1)
    even = abar.sqrt() * torch.randn(64, 3, 1, 1, generator=rng) + (1 - abar).sqrt() * torch.randn(
        64, 3, 64, 64, generator=rng
    )
    assert patches.halved(even, abar).shape == (64, 3, 32, 32)
    assert patches.halved(even, abar).var().item() == pytest.approx(1, abs=0.06)


@torch.no_grad()
def test_a_mixed_batch_is_answered_as_each_image_alone(network, batch):
    x, tokens, abar_t = batch
    together = patches.clean(network, x, T, tokens, abar_t)
    for k in range(4):
        alone = patches.clean(network, *(part[k : k + 1] for part in (x, T, tokens, abar_t)))
        assert torch.allclose(together[k], alone[0], atol=1e-5)


@torch.no_grad()
def test_details_cannot_be_seen_at_the_high_noise_levels(network, batch):
    x, tokens, abar_t = batch
    checks = torch.tensor([[1.0, -1.0], [-1.0, 1.0]]).repeat(32, 32)  # whose 2 x 2 averages are 0
    plain, checked = (patches.clean(network, some, T, tokens, abar_t) for some in (x, x + checks))
    differs = (plain - checked).abs().amax((1, 2, 3))
    assert (differs[:2] > 1e-3).all()
    assert (differs[2:] < 1e-5).all()


@torch.no_grad()
def test_the_place_of_a_window_and_the_words_matter(network, batch):
    x, tokens, abar_t = batch
    answers = patches.clean(network, x.roll(8, -1), T, tokens, abar_t).roll(-8, -1)
    assert not torch.allclose(answers, patches.clean(network, x, T, tokens, abar_t), atol=1e-3)
    other = patches.clean(network, x, T, tokens.roll(1, 0), abar_t)
    assert not torch.allclose(other, patches.clean(network, x, T, tokens, abar_t), atol=1e-3)


def echo(inputs, img_ids, **_):
    """A transformer that returns its windows unchanged."""
    return (inputs[..., : 3 * 12 * 12],)


def numbered(inputs, img_ids, **_):
    """A transformer whose windows are flat: 1 and 0 in turn from left to right."""
    column = (img_ids[:, 2] - 0.25).floor() % 2
    return (column.view(1, -1, 1).expand(len(inputs), -1, 3 * 12 * 12),)


@pytest.mark.parametrize("t", [0, FIRST, SECOND])
def test_both_grids_cover_the_image(batch, t):
    x, tokens, abar_t = batch
    assert torch.allclose(patches.clean(echo, x, torch.full((4,), t), tokens, abar_t), x, atol=1e-5)


def test_borders_lie_elsewhere_when_the_grids_take_turns(batch):
    x, tokens, abar_t = batch
    both, first, second = (
        patches.clean(numbered, x, torch.full((4,), t), tokens, abar_t)[0, 0].diff().abs().mean(0)
        for t in (0, FIRST, SECOND)
    )
    assert first[7::8].min() > 0.2
    assert first[3::8].max() == 0
    assert second[3::8].min() > 0.2
    assert second[7::8].max() == 0
    assert both[7::8].max() < 0.75 * first[7::8].min()
    assert both[3::8].max() < 0.75 * second[3::8].min()


def test_training_is_possible_in_a_process_that_has_sampled(network, batch):
    x, tokens, _ = batch
    for cached in (patches._fade, patches._places):
        cached.cache_clear()
    with torch.inference_mode():
        patches.answer(network, x, T, tokens)
    for shift in (0, patches.SHIFT):
        patches.answer(network, x, T, tokens, shift).sum().backward()

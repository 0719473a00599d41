"""Views: orthogonal on noise, exactly undone, refused where they are not; and those of visual_anagrams are theirs."""

import math

import numpy as np
import pytest
import torch

from generators.diffusion import Noise, anagram, viewed
from generators.diffusion.rearrangements import disc, jigsaw_pieces, patches
from generators.diffusion.views import FLIP, IDENTITY, VIEWS, View, named, permutation
from generators.records.errors import ViewError

NAMES = [*VIEWS, "rotate90", "rotate180", "rotate-90", "rotate45", "rotate-30", "rotate135", "rotate10.5"]


def normal(side: int, seed: int = 42) -> torch.Tensor:
    return torch.randn(3, side, side, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module", params=NAMES)
def view(request):
    return named(request.param)


# --- what every view must keep


@pytest.mark.parametrize("side", [64, 256])
def test_a_view_is_undone_exactly_from_either_side(view, side):
    x = normal(side)
    assert torch.equal(view.inverse(view(x)), x)
    assert torch.equal(view(view.inverse(x)), x)
    assert torch.equal(view.back(view.move(x)), x)


@pytest.mark.parametrize("side", [64, 256])
def test_a_view_is_orthogonal(view, side):
    """<V x, y> = <x, V^-1 y> for linear V: the inverse is the transpose. In whole numbers, so that sums are exact."""
    x, y = (normal(side, seed).mul(100).round().double() for seed in (1, 2))
    assert (view(x) * y).sum() == (x * view.inverse(y)).sum()
    assert torch.equal(view(3 * x - y), 3 * view(x) - view(y))


def test_noise_seen_through_a_view_is_standard_normal_and_independent(view):
    """Over 3 x 64 x 64 x 40 values; neighbours, colours and the same places before and after do not correlate."""
    noise = torch.randn(40, 3, 64, 64, generator=torch.Generator().manual_seed(3))
    seen = torch.stack([view(x) for x in noise])
    n = seen.numel()
    assert abs(seen.mean()) < 4 / n**0.5
    assert abs(seen.square().mean() - 1) < 4 * (2 / n) ** 0.5
    for axis in (-1, -2, -3):
        assert abs((seen * seen.roll(1, axis)).mean()) < 4 / n**0.5
    together = seen.flatten(1)  # the sum of all correlations between places, which no order of places changes
    assert abs(together.sum(1).square().mean() / together.shape[1] - 1) < 4 * (2 / 40) ** 0.5


def test_both_parts_of_the_noise_come_back_to_their_pixels(view):
    """A network that answers with what it sees gives x itself back, and a variance that is x's own at each pixel."""
    x = normal(64)
    eps, frac = viewed(lambda x, t: Noise(x, torch.sigmoid(x)), view)(x, 500)
    assert torch.equal(eps, x)
    assert torch.equal(frac, torch.sigmoid(view.sign * x))
    assert 0 <= frac.min() <= frac.max() <= 1
    assert viewed(lambda x, t: Noise(x), view)(x, 500).frac is None


def test_an_anagram_has_as_many_readings_as_one_likes():
    def reading(k):
        return lambda x, t: Noise(torch.tanh(k * x) + x.roll(k, -1), torch.sigmoid(k * x))

    x, views = normal(64), [IDENTITY, FLIP, named("rotate90"), named("jigsaw")]
    both = [viewed(reading(k), view)(x, 10) for k, view in enumerate(views, 1)]
    answer = anagram(*((reading(k), view) for k, view in enumerate(views, 1)))(x, 10)
    torch.testing.assert_close(answer.eps, sum(noise.eps for noise in both) / 4, rtol=0, atol=1e-6)
    torch.testing.assert_close(answer.frac, sum(noise.frac for noise in both) / 4, rtol=0, atol=1e-6)


# --- what is refused


def blur(x):
    return (x + x.roll(1, -1)) / 2


@pytest.mark.parametrize(
    ("move", "back", "sign"),
    [
        (blur, blur, 1),
        (lambda x: 2 * x, lambda x: x / 2, 1),  # a scale has an inverse, but noise of variance 4 is unknown
        (lambda x: x + 0.1, lambda x: x - 0.1, 1),
        (lambda x: x.sort(-1).values, lambda x: x, 1),  # moves by value: of numbers in order, nothing is seen to move
        (lambda x: x.clamp(-1, 1), lambda x: x, 1),
        (lambda x: x[..., :1].expand_as(x), lambda x: x, 1),
        (lambda x: x, lambda x: x, 3),
    ],
    ids=["blur", "scale", "shift", "sorts", "clamp", "doubles", "sign"],
)  # fmt: skip
def test_what_is_not_orthogonal_is_refused_with_the_reason(move, back, sign):
    with pytest.raises(ViewError, match=r"not orthogonal: .*independent per pixel.*section 3\.3\); move") as e:
        View(move, back, sign)
    assert "\n" not in str(e.value)


def test_a_wrong_inverse_is_refused():
    with pytest.raises(ViewError, match="`back` does not undo its `move`"):
        View(lambda x: x.roll(1, -1), lambda x: x.roll(1, -1))


def test_a_rearrangement_that_loses_pixels_is_refused_at_the_size_where_it_does():
    with pytest.raises(ViewError, match="not orthogonal"):
        permutation(lambda x: x.roll(1, -1).clamp(max=7))
    fits_64 = permutation(lambda x: x if x.shape[-1] == 64 else x[..., :1].expand_as(x))
    with pytest.raises(ViewError, match="not orthogonal"):
        fits_64(normal(256))


def test_a_name_that_no_view_has_is_told_which_there_are():
    for name in ("upside-down", "rotate", "rotateabc", "rotate90; ls", ""):
        with pytest.raises(ViewError, match=r"there is no view .*; the views are identity, flip, .* rotate90 or"):
            named(name)


def test_sides_that_do_not_serve_are_named():
    with pytest.raises(ValueError, match="8 patches a side do not divide an image of 36 x 36"):
        patches(normal(36), 8)
    with pytest.raises(ValueError, match="a jigsaw of 96 pixels a side: the side must be a multiple of 64"):
        jigsaw_pieces(96)


# --- turning


@pytest.mark.parametrize("degrees", [10, 30, 45, 77.5, 135, -100, 181])
@pytest.mark.parametrize("side", [64, 256])
def test_a_turned_disc_is_turned_and_the_corners_are_still(degrees, side):
    """Shears of whole pixels: most are within a pixel of where the turn brings them, all but a few at the rim."""
    places = torch.arange(side**2).view(side, side)
    comes_from = disc(places, degrees).flatten()
    ys, xs = (axis.flatten() - (side - 1) / 2 for axis in torch.meshgrid(*[torch.arange(side)] * 2, indexing="ij"))
    inside = ys**2 + xs**2 < (side / 2) ** 2
    assert torch.equal(comes_from[~inside], places.flatten()[~inside])
    turn = math.radians(degrees)
    x = math.cos(turn) * xs[comes_from] + math.sin(turn) * ys[comes_from]
    y = math.cos(turn) * ys[comes_from] - math.sin(turn) * xs[comes_from]
    away = torch.hypot(x - xs, y - ys)[inside]
    assert away.mean() < 0.75
    assert (away > 1.5).float().mean() < 0.015


def test_quarter_turns_of_the_disc_are_exact_and_turn_as_the_whole_does():
    x = normal(64)
    ys, xs = torch.meshgrid(*[torch.arange(64) - 31.5] * 2, indexing="ij")
    inside = ys**2 + xs**2 < 32**2
    for count, degrees in ((1, 90), (2, -180), (3, 270)):
        whole = named(f"rotate{degrees}")(x)
        assert torch.equal(whole, torch.rot90(x, count, (-2, -1)))
        assert torch.equal(disc(x, degrees), torch.where(inside, whole, x))


# --- held against visual_anagrams (github.com/dangeng/visual_anagrams), written down anew from what it does


def gathered(x, perm):
    """Its PermuteView: pixel n of the view is pixel perm[n] of the image."""
    return x.flatten(1)[:, torch.tensor(perm)].view(x.shape)


@pytest.mark.parametrize("side", [64, 256])
def test_the_inner_circle_is_theirs(side):
    """180 degrees inside of 24 pixels of 64, counted from the corner between the four pixels in the middle."""
    radius, perm = 3 * side // 8, []
    for n in range(side**2):
        row, column = divmod(n, side)
        inside = (row - side / 2 + 0.5) ** 2 + (column - side / 2 + 0.5) ** 2 < radius**2
        perm.append((side - 1 - row) * side + side - 1 - column if inside else n)
    x = normal(side)
    assert torch.equal(named("circle")(x), gathered(x, perm))


@pytest.mark.parametrize("side", [64, 256])
def test_the_square_hinge_is_theirs(side):
    x, size = normal(side).numpy(), side // 3
    expected = x.copy()
    for i in range(3):
        for j in range(3):
            here = np.s_[:, i * size : (i + 1) * size, j * size : (j + 1) * size]
            turned = x[here].swapaxes(1, 2)  # transposed, then mirrored: a quarter turn, clockwise where i + j is even
            expected[here] = turned[:, :, ::-1] if (i + j) % 2 == 0 else turned[:, ::-1]
    assert np.array_equal(named("hinge")(torch.from_numpy(x)).numpy(), expected)


@pytest.mark.parametrize("side", [64, 256])
def test_the_skew_is_theirs(side):
    x = normal(side)
    expected = torch.empty_like(x)
    for column in range(side):
        for row in range(side):
            expected[:, (row + math.trunc(1.5 * (column - side // 2))) % side, column] = x[:, row, column]
    assert torch.equal(named("skew")(x), expected)


@pytest.mark.parametrize("per_side", [8, 64])
def test_patches_are_laid_as_theirs_and_alike_at_both_sizes(per_side):
    order = torch.randperm(per_side**2, generator=torch.Generator().manual_seed(0)).tolist()
    view = named("patches" if per_side == 8 else "pixels")
    for side in (64, 256):
        x, size = normal(side), side // per_side
        for place, comes_from in list(enumerate(order))[::7]:
            (row, column), (its_row, its_column) = divmod(place, per_side), divmod(comes_from, per_side)
            here = view(x)[:, row * size : (row + 1) * size, column * size : (column + 1) * size]
            assert torch.equal(here, x[:, its_row * size :, its_column * size :][:, :size, :size])


OUTLINES = {  # each kind's piece in the upper left quarter of the board: knobs (+) and holes (-) up, right, down, left
    0: (0, 0, " +- "), 4: (1, 1, "-+--"), 8: (0, 1, " ++-"), 12: (0, 2, " ++-"),
}  # fmt: skip
KNOB = [4, 2, 4, 4, 2]


def mask(kind: int, turns: int) -> np.ndarray:
    """One of their sixteen pieces at 64 pixels: the outline, turned clockwise about the middle of the board."""
    row, column, sides = OUTLINES[kind]
    found = np.zeros((64, 64), bool)
    found[16 * row : 16 * row + 16, 16 * column : 16 * column + 16] = True
    for side, sign in zip(range(4), sides, strict=True):
        if sign != " ":
            for depth, width in enumerate(KNOB):
                along = np.arange(width) + 16 * (column if side % 2 == 0 else row) + 8 - width // 2
                edge = 16 * (row if side % 2 == 0 else column) + (16 if side in (1, 2) else 0)
                outward = (side in (1, 2)) == (sign == "+")  # a knob's depth is counted away from its own piece
                across = edge + depth if outward else edge - 1 - depth
                found[(across, along) if side % 2 == 0 else (along, across)] = sign == "+"
    return np.rot90(found, -turns)


def test_the_jigsaws_pieces_are_theirs():
    pieces = jigsaw_pieces(64).numpy()
    for kind in OUTLINES:
        for turns in range(4):
            assert np.array_equal(pieces == kind + turns, mask(kind, turns))
    large = torch.from_numpy(pieces).repeat_interleave(4, 0).repeat_interleave(4, 1)
    assert torch.equal(jigsaw_pieces(256), large)


def test_the_jigsaw_is_theirs():
    """Pixel by pixel: turn with the piece about the middle; on an edge, perhaps change over with the neighbour."""
    chance = np.random.RandomState(11)
    kinds = np.concatenate([chance.permutation(4) for _ in range(4)])
    swaps = chance.randint(2, size=4)
    masks = np.stack([mask(kind, turns) for kind in (0, 4, 8, 12) for turns in range(4)])
    piece_at, perm = masks.argmax(0), []
    for y in range(64):
        for x in range(64):
            piece = piece_at[y, x]
            z = complex(x - 31.5, y - 31.5) * 1j ** int(kinds[piece] - piece % 4)
            new_x, new_y = round(z.real + 31.5), round(z.imag + 31.5)
            new = piece_at[new_y, new_x]
            if new >= 8 and swaps[new % 4]:
                step = 16 * (1 if new < 12 else -1) * (1 if new % 4 < 2 else -1)
                new_x, new_y = (new_x + step, new_y) if new % 2 == 0 else (new_x, new_y + step)
            perm.append(new_y * 64 + new_x)
    x = normal(64)
    assert torch.equal(named("jigsaw")(x), gathered(x, perm))
    large = x.repeat_interleave(4, -1).repeat_interleave(4, -2)
    assert torch.equal(named("jigsaw")(large), named("jigsaw")(x).repeat_interleave(4, -1).repeat_interleave(4, -2))

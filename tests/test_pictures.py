"""pocket's training pictures: drawings by chance, and the rolling pool. No icons are needed: those are stood in for."""

import re

import numpy as np
import pytest
import torch

from generators.making.drawings import data, faces, icons, scenes, vectors
from generators.making.drawings.names import NOUNS
from generators.making.drawings.styles import FILTERS
from generators.making.training import pool

BODY = '<rect width="16" height="16"/>'


@pytest.fixture(autouse=True)
def no_packages(monkeypatch):
    """In place of every package, one whose icons are all the same square."""
    square = {"width": 16, "icons": {key: {"body": BODY} for key in (*NOUNS.values(), "ewe", "high-voltage")}}
    monkeypatch.setattr(icons, "icon_set", lambda package: square)


def rng(seed=0):
    return np.random.default_rng(seed)


def test_the_same_chance_draws_the_same_picture_and_another_one_another():
    one, again, other = (data.draw(rng(seed)) for seed in (1, 1, 2))
    assert one == again != other
    assert (one.render(32) == again.render(32)).all()


@pytest.mark.parametrize("scene", scenes.SCENES, ids=lambda scene: scene.__name__)
def test_a_scene_fills_the_square_and_no_two_are_alike(scene):
    drawn = [scene(rng(seed)) for seed in range(4)]
    assert len({body for body, _ in drawn}) == 4
    for body, noun in drawn:
        assert "nan" not in body
        assert noun
        pixels = vectors.rasterise(vectors.rect(-9, -9, 300, 300, "#ff00ff") + vectors.moved(body, scale=1.0), 32)
        assert not (abs(pixels - (1, 0, 1)) < 0.01).all(-1).any()  # nothing of what lies behind is seen
        assert pixels.std() > 0.02


def test_every_scene_has_its_styles_and_every_drawing_its_captions():
    assert {style for _, styles in scenes.SCENES.values() for style in styles} <= set(FILTERS)
    for seed in range(400):
        drawing = data.draw(rng(seed))
        assert drawing.captions
        assert drawing.style in FILTERS
        styled = [caption for caption in drawing.captions if caption != data.HIGH_QUALITY]
        assert all(caption.startswith(drawing.style) for caption in styled)
        assert drawing.style == "a photo of" or data.HIGH_QUALITY not in drawing.captions


def test_a_high_quality_photo_shows_a_whole_view():
    for drawn in (data.alone, data.placed, data.grounded):
        assert data.HIGH_QUALITY not in drawn("a fox", "a photo of", rng(1)).captions
    assert data.HIGH_QUALITY in data.outdoors("a photo of", rng(1)).captions
    assert data.HIGH_QUALITY not in data.outdoors("an oil painting of", rng(1)).captions
    assert set(scenes.VIEWS) < set(scenes.SCENES)
    scenes_of_photos = [drawn for seed in range(60) if (drawn := data.scene(rng(seed))).style == "a photo of"]
    said = {data.HIGH_QUALITY in drawn.captions: drawn.captions[0] for drawn in scenes_of_photos}
    assert said.keys() == {True, False}


def test_an_animal_sits_in_a_meadow_of_which_the_captions_tell():
    for seed in range(12):
        drawn = data.outdoors("", rng(seed))
        noun = drawn.captions[0].strip().removesuffix(f" {data.MEADOW}")
        assert noun in NOUNS


def test_a_place_is_never_drawn_as_a_lithograph_or_a_sketch():
    """The evaluation uses these as unseen combinations."""
    said = {caption for seed in range(400) for caption in data.draw(rng(seed)).captions}
    placed = [caption for caption in said if any(caption.endswith(place) for place in data.GROUNDS)]
    assert placed
    assert not [caption for caption in placed if re.match("a (lithograph|pencil sketch) of", caption)]


def test_the_parts_of_a_face_are_told_apart_by_what_is_asked():
    bare, bearded = (faces.portrait(rng(3), 128, 110, 90, beard=beard) for beard in (False, True))
    assert len(bearded) > len(bare)
    top, none = (faces.portrait(rng(3), 128, 130, 90, beard=False, hat=hat) for hat in ("top", ""))
    assert top.startswith(none[:200])
    assert len(top) > len(none)


def test_white_stays_nearly_white_under_a_tint():
    matrices = np.array([data.tint(rng(seed)) for seed in range(200)]).reshape(-1, 3, 3)
    white = matrices.sum(-1)
    assert abs(white - 1).mean() < 0.06
    assert abs(matrices - np.eye(3)).mean() > 0.03


def test_a_held_out_hand_is_never_drawn_with():
    assert icons.HELD_OUT in icons.PACKAGES
    assert icons.HELD_OUT not in icons.HANDS


def numbered(number):
    return [pool.Picture(torch.full((3, 4, 4), number % 256, dtype=torch.uint8), (f"picture {number}", "a picture"))]


def test_a_pool_begins_full_and_renews_itself_as_it_is_used(monkeypatch):
    monkeypatch.setattr(pool, "BLOCK", 4)
    some, chance = pool.Pool(numbered, size=8, uses=4, first=10, workers=0), torch.Generator().manual_seed(0)
    images, captions = some.batch(16, chance)  # makes room for four
    shown = {round((value + 1) * 127.5) for value in images[:, 0, 0, 0].tolist()}
    assert images.shape == (16, 3, 4, 4)
    assert shown <= set(range(14, 22))  # the four oldest are gone
    assert {caption for caption in captions if caption != "a picture"} <= {f"picture {k}" for k in shown}
    assert {caption == "a picture" for caption in captions} == {True, False}


def test_several_workers_share_the_numbers(monkeypatch):
    class Info:
        id, num_workers = 1, 3

    monkeypatch.setattr(pool, "get_worker_info", lambda: Info)
    drawn = iter(pool.Endless(numbered, 10))
    assert [next(drawn).captions[0] for _ in range(3)] == ["picture 11", "picture 14", "picture 17"]


def test_the_validation_set_is_not_learnt_from():
    images, captions = pool.validation_set(3)
    assert images.shape == (3, 3, 64, 64)
    assert len(captions) == 3
    assert images.min() >= -1
    assert images.max() <= 1
    learnt = pool.as_images(pool.picture_64(0)[0].rgb)
    assert not torch.equal(learnt, images[0])


def test_details_lie_on_the_grid_and_whole_pictures_are_of_256_pixels(monkeypatch):
    y, x = np.mgrid[0:1024, 0:1024]
    coordinates = np.stack([y // 4 % 256, x // 4 % 256, (y % 4) * 4 + x % 4], -1).astype(np.uint8)
    monkeypatch.setattr(data.Drawing, "render", lambda drawing, size: coordinates[:size, :size])
    squares = pool.crops_1024(0)
    assert len(squares) == pool.DETAILS
    assert all(square.rgb.shape == (3, 256, 256) for square in squares)
    assert all(square.rgb[2, 0, 0] == 0 for square in squares)
    assert pool.picture_256(0)[0].rgb.shape == (3, 256, 256)

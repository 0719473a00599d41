"""A report by DeepFloyd from end to end, in a copy of the project: a tiny cascade of random weights, all its stages."""

import json
import re

import project_fixture
import pytest
import tiny_if

from generators.records.record import read

KEPT = ("0", "1.1", "1.3", "1.7.2", "1.8")
CHANGES = {  # fewer prompts, pictures and steps, so that it takes seconds
    "generators/sections/part_0.py": {"prompt=PROMPTS, steps=(50, 100)": "prompt=PROMPTS[:1], steps=50"},
    "generators/sections/part_1_7_2.py": {'image=("campanile", "fox", "building")': 'image="fox"'},
    "generators/sections/part_1_8.py": {
        'pair("campfire", OLD_MAN, CAMPFIRE),': "", 'pair("barista", BARISTA, DOG),': "", 'pair("lion", DOG, LION),': ""
    },
    "generators/models/deepfloyd/cascade.py": {"    steps = 50": "    steps = 6"},
}  # fmt: skip


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return tiny_if.save(tmp_path_factory.mktemp("weights"), size=64, later=True)


@pytest.fixture(scope="module")
def project(tmp_path_factory, weights):
    """A copy of the sources with a few sections, drawn once."""
    copy = project_fixture.copy(tmp_path_factory.mktemp("project"), KEPT, prose=("1.1",))
    for file, changes in CHANGES.items():
        text = (copy / file).read_text()
        for old, new in changes.items():
            assert text.count(old) == 1, old
            text = text.replace(old, new)
        (copy / file).write_text(text)
    drawn = run(copy, weights, "all")
    assert drawn.returncode == 0, drawn.stderr
    (copy / "drawn.txt").write_text(drawn.stderr)
    return copy


def run(project, weights, verb, *arguments):
    return project_fixture.report(project, verb, "--model", "deepfloyd", *arguments, DEEPFLOYD_WEIGHTS=str(weights))


def records(project):
    return {path.parent.name: json.loads(path.read_text()) for path in project.glob(".report/deepfloyd/*/record.json")}


def test_the_plan_stands_before_all_that_is_done(project):
    told = (project / "drawn.txt").read_text()
    assert told.index("deepfloyd: work") < told.index("deepfloyd: encoding") < told.index("evaluations of the network")
    assert sorted(records(project)) == sorted(KEPT)


def test_records_say_how_the_model_was_set_up_and_where_nothing_lies(project, weights):
    for record in records(project).values():
        settings = record["model"]["settings"]
        assert settings["text encoder"] == "T5 in float32, clean_caption=False"
        assert (settings["safety checker"], settings["watermarker"]) == ("not loaded", "not applied")
        assert settings["stage 1"] == "a local folder, full files"
        assert str(weights) not in json.dumps(record)


def test_the_records_of_enlarged_panels_count_both_stages(project):
    small, large = read(project / ".report/deepfloyd/1.8/record.json", None).figures[0].panels[:2]
    assert (small.evaluations, len(small.timesteps), small.of_stage(2)) == (4 * 34, 34, [])
    (walk,) = large.of_stage(2)
    assert (large.evaluations, len(walk.timesteps), large.width) == (4 * 34 + 4 * 6, 6, 256)
    assert (walk.seed, walk.gamma) == (1_000_042, (4.0,))
    assert large.of_stage(1) == small.of_stage(1)
    sizes = [panel["width"] for panel in records(project)["0"]["figures"][0]["panels"]]
    assert sizes == [64, 256, 1024]


def test_the_dry_run_counted_what_was_drawn(project):
    """So the plan's numbers are true."""
    told = (project / "drawn.txt").read_text()
    first, second, third = re.search(
        r"([\d,]+) evaluations of stage 1, ([\d,]+) of stage 2, (\d+) images", told
    ).groups()
    assert int(first) + int(second) == sum(record["evaluations"] for record in records(project).values())
    assert int(third) == 1
    prompts = {
        prompt for record in records(project).values() for walk in record["trajectories"] for prompt in walk["prompts"]
    }
    assert prompts == set(re.findall(r"deepfloyd: encoding +“(.*)”", told))


def test_the_page_names_deepfloyd_and_shows_no_word_that_is_pockets_alone(project):
    page = (project / "site" / "index.html").read_text()
    assert re.search(r"drawn by <strong>deepfloyd, DeepFloyd IF, .*</strong>\.</p>", page)
    assert "none by DeepFloyd" not in page
    assert "works through part A" in page
    assert "What works" not in page  # what is said of pocket's pictures
    assert "vector icons" not in page
    assert "T5-XXL" in page  # in the credits
    assert "<dt>Safety checker</dt>" in page
    assert '"creditText": "deepfloyd, DeepFloyd IF, the cascade' in page


def test_a_second_run_encodes_and_draws_nothing(project, weights):
    again = run(project, weights, "all")
    assert again.returncode == 0
    assert "All sections are up to date." in again.stdout
    assert "encoding" not in again.stderr


def test_the_doctor_finds_nothing_in_the_way(project, weights):
    well = run(project, weights, "doctor")
    assert (well.returncode, well.stderr) == (0, "")
    assert "deepfloyd: prompts  " in well.stdout
    assert well.stdout.endswith("There are no obstacles.\n")

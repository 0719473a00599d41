"""A section that takes hours is killed in the middle: it goes on from the last answer, with the same pixels."""

import multiprocessing
import os
import random
import signal
from collections import deque
from contextlib import contextmanager

import pytest
import tiny_if
import torch

from generators.diffusion.schedule import strided
from generators.figures import Figure, Section, each
from generators.models.deepfloyd.cascade import HELD, DeepFloyd, SecondStage, Spot, ThirdStage
from generators.models.deepfloyd.text import Embeddings, encode
from generators.models.forward_cache import AHEAD, ForwardCache
from generators.running import processor
from generators.running.session import Observer, Session

CPU = torch.device("cpu")
KILLS = 4


def stages(lab, pixels, k):
    """A guided sample, and from it the next stages'."""
    small = lab.shared(("small", k), lambda: lab.sample(lab.guided("a dog"), k, strided(200)))
    if pixels == 64:
        return small
    middle = lab.shared(("middle", k), lambda: lab.enlarge(small, "a dog", k))
    return middle if pixels == 256 else lab.enlarge(middle, "a dog", k)


CASES = [*each(pixels=(64, 256), k=(0, 1, 2)), {"pixels": 1024, "k": 0}]
SECTION = Section(
    "1.5",
    "Samples",
    [Figure("all", caption="Samples.", label="{pixels}, sample {k}", alt="{k}", cases=CASES, draw=stages)],
)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tiny_if.save(tmp_path_factory.mktemp("tiny-if"), size=64, later=True)
    kept = Embeddings(folder / "embeddings", "tiny")
    encode(["", "a dog"], kept, folder / "stage_1", CPU)
    names = ("stage_1", "stage_2", "stage_3")
    spots = {name: Spot(CPU, HELD, 4) for name in names}  # several forwards a step
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as in the forked processes: another number of threads may round otherwise
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SecondStage, "steps", 3)
        patch.setattr(ThirdStage, "steps", 3)
        yield DeepFloyd("deepfloyd", {name: folder / name for name in names}, spots, kept.read)
    torch.set_num_threads(threads)


@contextmanager
def counted():
    """A list that grows with every answer that is kept."""
    kept, usual = [], ForwardCache._write_one
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ForwardCache, "_write_one", lambda self, *told: kept.append(1) or usual(self, *told))
        yield kept


def drawn(model, folder):
    return Session(model, Observer()).draw(SECTION, folder, {}, source="the definitions that it reaches")


@pytest.fixture(scope="module")
def whole(model, tmp_path_factory):
    """The record of a run that nobody stopped, and how many answers were kept meanwhile."""
    folder = tmp_path_factory.mktemp("whole") / "1.5"
    with counted() as kept:
        record = drawn(model, folder)
    assert {path.name for path in folder.parent.iterdir()} == {"1.5"}
    return record, len(kept)


def drawn_and_killed(model, folder, moment):
    """Draw, and be killed when the n-th answer is to be kept: before it is written for odd n, half-way for even."""
    passed, usual = 0, ForwardCache._write_one
    torch.set_num_threads(1)

    def write_one(self, *told):
        nonlocal passed
        passed += 1
        if passed == moment:
            if moment % 2 == 0:
                (folder.parent / ".1.5.outputs" / "half.part").write_bytes(b"half")
            os.kill(os.getpid(), signal.SIGKILL)
        usual(self, *told)

    ForwardCache._write_one = write_one
    drawn(model, folder)


def killed(model, folder, moment):
    process = multiprocessing.get_context("fork").Process(target=drawn_and_killed, args=(model, folder, moment))
    process.start()
    process.join(300)
    assert process.exitcode == -signal.SIGKILL


def untimed(record):
    walks = [{**walk, "seconds": 0} for walk in record["trajectories"]]
    run = {"seconds": 0, "seal": "", "drawn": "", "where": {}}
    return {**record, **run, "trajectories": walks}


def test_killed_at_counted_moments_it_goes_on_with_the_same_pixels(model, whole, tmp_path):
    record, answers = whole
    assert answers > 50
    late = [answers - 1]  # within stage 3
    for moment in (*random.Random(0).sample(range(2, answers - 1), KILLS - 1), *late):
        folder = tmp_path / str(moment) / "1.5"
        folder.parent.mkdir()
        killed(model, folder, moment)
        assert not folder.exists()  # nothing half-done
        with counted() as kept:
            again = drawn(model, folder)
        assert untimed(again) == untimed(record), moment
        left = answers - (moment - 1)
        assert left <= len(kept) < left + 4  # at most the one forward of four images is computed again
        assert {path.name for path in folder.parent.iterdir()} == {"1.5"}


def test_killed_again_and_again_it_ends(model, whole, tmp_path):
    folder = tmp_path / "1.5"
    for _ in range(3):
        killed(model, folder, 11)  # each time ten answers further
    assert untimed(drawn(model, folder)) == untimed(whole[0])


def kept_in(folder, seconds=12.5):
    cache = ForwardCache(folder, "about")
    cache.keep([("a question", 500)], [torch.zeros(1, 2)], {"eps": torch.ones(1, 3)}, seconds)
    cache.close()
    return folder


def test_an_answer_comes_with_the_seconds_that_it_took(tmp_path):
    again = ForwardCache(kept_in(tmp_path / "answers"), "about")
    answer, seconds = again.find([("a question", 500)], [torch.zeros(1, 2)])
    assert (answer["eps"].tolist(), seconds, again.seconds) == ([[1, 1, 1]], [12.5], 12.5)


@pytest.mark.parametrize(
    ("question", "x"),
    [(("another", 500), torch.zeros(1, 2)), (("a question", 501), torch.zeros(1, 2)),
     (("a question", 500), torch.ones(1, 2)), (("a question", 500), torch.zeros(1, 1, 2)),
     (("a question", 500), torch.zeros(1, 2).double())],
)  # fmt: skip
def test_another_question_finds_nothing(tmp_path, question, x):
    folder = kept_in(tmp_path / "answers")
    assert ForwardCache(folder, "about").find([question], [x]) is None
    assert ForwardCache(folder, "other weights").find([("a question", 500)], [torch.zeros(1, 2)]) is None


def test_a_damaged_answer_is_computed_again(tmp_path):
    folder = kept_in(tmp_path / "answers")
    for path in folder.iterdir():
        path.write_bytes(path.read_bytes()[:-5])
    assert ForwardCache(folder, "about").find([("a question", 500)], [torch.zeros(1, 2)]) is None


def test_a_batch_is_found_as_a_whole_or_not_at_all(tmp_path):
    folder = kept_in(tmp_path / "answers")
    both = [("a question", 500), ("another", 500)]
    assert ForwardCache(folder, "about").find(both, [torch.zeros(2, 2)]) is None


def test_a_disk_that_is_full_ends_the_run(tmp_path):
    (tmp_path / "answers").write_text("a file, where the folder should be")
    cache = ForwardCache(tmp_path / "answers", "about")
    answer = [("a question",)], [torch.zeros(1, 2)], {"eps": torch.ones(1, 3)}, 1.0
    with pytest.raises(OSError, match="answers"):
        deque(cache.keep(*answer) for _ in range(AHEAD + 1))
    cache.close()


def test_another_processor_begins_anew(model, whole, tmp_path, monkeypatch):
    """Its rounding differs, and one picture would mix both."""
    folder = tmp_path / "1.5"
    killed(model, folder, 11)
    monkeypatch.setattr(processor, "name", lambda device: "another GPU")
    with counted() as kept:
        drawn(model, folder)
    assert len(kept) == whole[1]

"""Many trajectories at once: answered together, each as if it were alone."""

import contextlib
import gc
from functools import partial

import pytest
import torch
from oracles import cosine

from generators.diffusion import (
    Noise,
    Schedule,
    anagram,
    cfg,
    factorised,
    high_pass,
    last,
    low_pass,
    sample,
    sdedit,
    strided,
)
from generators.diffusion.batching import SharedWork, Task, along, ask, gather, run, trace, trajectory
from generators.diffusion.views import FLIP, IDENTITY
from generators.models import load
from generators.models.base import Meter, Stage

SMALL = torch.zeros(3, 12, 12)


class Rowwise(Stage):
    """A network whose answer to one image is the same, to the bit, whatever stands beside it."""

    schedule = Schedule(cosine().float(), threshold=1.5)
    side = SMALL.shape[-1]

    def __init__(self, chunk: int = 32) -> None:
        super().__init__(Meter())
        self.chunk, self.batches = chunk, []

    def predict(self, x, t, prompts):
        self.batches.append([(prompt, int(t_)) for prompt, t_ in zip(prompts, t, strict=True)])
        rows = [self._one(x_, int(t_), prompt) for x_, t_, prompt in zip(x, t, prompts, strict=True)]
        return Noise(torch.stack([eps for eps, _ in rows]), torch.stack([frac for _, frac in rows]))

    def _one(self, x, t, prompt):
        place = torch.arange(x.numel()).view(x.shape) % (7 + len(prompt)) / (7 + len(prompt)) - 0.5
        return (0.8 * x + place * (1 + t / 1000)).clamp(-3, 3), (place + 0.5)


def cases(model, like=SMALL):
    """Cases of many kinds, as the sections have them: guided or not, with more steps or fewer, late starters."""
    schedule, far, near, none = model.schedule, model.noise("a skull"), model.noise("waterfalls"), model.noise("")
    x0 = torch.linspace(-1, 1, like.numel()).view(like.shape)
    guided = cfg(far, none, 7)

    def sampled(estimate, seed, timesteps):
        return lambda: last(sample(schedule, estimate, timesteps, torch.Generator().manual_seed(seed), like))

    def edited(i_start):
        generator = torch.Generator().manual_seed(42)
        return lambda: last(sdedit(schedule, guided, strided(i_start=i_start), generator.manual_seed(42), x0))

    return [
        sampled(far, 42, strided()),
        sampled(guided, 42, strided()),
        edited(20),
        sampled(guided, 43, strided(20)),
        edited(1),
        sampled(anagram((guided, IDENTITY), (cfg(near, none, 7), FLIP)), 42, strided()),
        sampled(factorised((guided, near), (partial(low_pass, kernel=9), partial(high_pass, kernel=9))), 44, strided()),
    ]


def test_all_batched_are_bit_for_bit_what_each_is_alone():
    alone = [work() for work in cases(Rowwise())]
    batched = [task.result for task in run(cases(Rowwise()))]
    assert all(torch.equal(a, b) for a, b in zip(alone, batched, strict=True))
    assert len({tuple(x.flatten().tolist()) for x in alone}) == len(alone)


@pytest.mark.parametrize("chunk", [1, 7])
def test_the_chunk_changes_nothing_but_the_number_of_calls(chunk):
    whole, chunked = Rowwise(), Rowwise(chunk)
    expected, found = run(cases(whole)), run(cases(chunked))
    assert all(torch.equal(a.result, b.result) for a, b in zip(expected, found, strict=True))
    assert chunked.meter.evaluations == whole.meter.evaluations
    assert max(map(len, chunked.batches)) == chunk
    assert chunked.meter.calls == sum(-(-len(batch) // chunk) for batch in whole.batches)


def test_a_real_network_answers_a_batch_as_it_answers_one(tiny_pocket):
    model, like = load("pocket"), torch.zeros(3, 64, 64)
    with torch.inference_mode():
        works = cases(model, like)[1:3]
        alone = [work() for work in works]
        for one, task in zip(alone, run(works), strict=True):
            torch.testing.assert_close(task.result, one, rtol=0, atol=1e-3)


def test_five_guided_samples_of_34_steps_are_34_calls_of_10():
    model = Rowwise()
    guided = cfg(model.noise("a dog"), model.noise(""), 7)
    run(
        partial(lambda k: last(sample(model.schedule, guided, strided(), torch.Generator().manual_seed(k), SMALL)), k)
        for k in range(5)
    )
    assert (model.meter.calls, model.meter.evaluations) == (34, 340)
    assert model.batches[0] == [("", 990), ("a dog", 990)] * 5
    assert [{t for _, t in batch} for batch in model.batches] == [{t} for t in strided()]


def test_guidance_at_the_same_x_asks_the_empty_prompt_once():
    model = Rowwise()
    far, near = (cfg(model.noise(prompt), model.noise(""), 7) for prompt in ("a skull", "waterfalls"))

    def sampled(near):
        est = factorised((far, near), (partial(low_pass, kernel=9), partial(high_pass, kernel=9)))
        return lambda: last(sample(model.schedule, est, strided(), torch.Generator().manual_seed(42), SMALL))

    (shared,) = run([sampled(near)])
    assert model.batches == [[("", t), ("a skull", t), ("waterfalls", t)] for t in strided()]
    (walk,) = shared.trace.trajectories
    assert (walk.stage, walk.seed, walk.timesteps, list(walk.prompts)) == (
        1, 42, tuple(strided()), ["", "a skull", "waterfalls"],
    )  # fmt: skip
    assert len(walk.evaluations) == model.meter.evaluations == 3 * 34
    (apart,) = run([sampled(lambda x, t: near(x.clone(), t))])
    assert model.meter.evaluations == (3 + 4) * 34
    assert torch.equal(shared.result, apart.result)


def test_tasks_join_and_leave_so_that_the_longest_counts():
    model = Rowwise()
    run(cases(model))
    steps = [34, 34, 14, 50, 33, 34, 34]
    questions = [1, 2, 2, 2, 2, 4, 3]
    assert model.meter.calls == max(steps)
    assert [len(batch) for batch in model.batches] == [
        sum(q for n, q in zip(steps, questions, strict=True) if k < n) for k in range(50)
    ]


def test_the_listener_hears_of_every_evaluation():
    model, heard = Rowwise(chunk=3), []
    model.meter.on_evaluated = heard.append
    run(cases(model))
    assert sum(heard) == model.meter.evaluations
    assert len(heard) == model.meter.calls


# --- questions


def doubled(batches):
    """Something to ask: it doubles, and keeps the batches in which it was asked."""

    def answer(questions):
        batches.append(list(questions))
        return [2 * question for question in questions]

    return answer


def test_questions_stand_in_the_order_of_the_works():
    batches = []
    answer = doubled(batches)
    tasks = run([partial(lambda k: ask(ask(k, answer), answer), k) for k in range(4)])
    assert [task.result for task in tasks] == [0, 4, 8, 12]
    assert batches == [[0, 1, 2, 3], [0, 2, 4, 6]]


def test_questions_to_different_answerers_are_kept_apart():
    one, two = [], []
    answers = doubled(one), doubled(two)
    tasks = run([partial(lambda k: ask(k, answers[k % 2]), k) for k in range(5)])
    assert [task.result for task in tasks] == [0, 2, 4, 6, 8]
    assert (one, two) == ([[0, 2, 4]], [[1, 3]])


def test_works_that_ask_nothing_and_no_works_at_all():
    assert [task.result for task in run([lambda: 1, lambda: None])] == [1, None]
    assert run([]) == []


def test_gather_asks_in_one_call_in_order_at_any_depth():
    batches = []
    answer = doubled(batches)

    def tree(depth, k):
        if depth == 0:
            return ask(k, answer)
        return gather([partial(tree, depth - 1, 2 * k), partial(tree, depth - 1, 2 * k + 1)])

    (one, two) = run([partial(tree, 3, 0), partial(tree, 2, 50)])
    assert one.result == [[[0, 2], [4, 6]], [[8, 10], [12, 14]]]
    assert two.result == [[400, 402], [404, 406]]
    assert len(batches) == 1
    assert sorted(batches[0]) == [*range(8), 200, 201, 202, 203]
    assert [q for q in batches[0] if q < 100] == list(range(8))


def test_gather_waits_for_the_slowest_and_returns_nothing_for_nothing():
    answer = doubled([])

    def slow(times):
        x = 1
        for _ in range(times):
            x = ask(x, answer)
        return x

    (task,) = run([lambda: gather([partial(slow, n) for n in (3, 0, 5, 1)])])
    assert task.result == [8, 1, 32, 2]
    assert run([lambda: gather([])])[0].result == []


def seen(seed):
    trace().seeds[seed] = None


def test_what_parts_of_a_work_note_stands_in_the_trace_of_the_work():
    def work(first):
        seen(first)
        gather([partial(seen, first + k) for k in (1, 2)])

    tasks = run([partial(work, 10), partial(work, 20)])
    assert [list(task.trace.seeds) for task in tasks] == [[10, 11, 12], [20, 21, 22]]


def test_evaluations_stand_in_the_trajectory_that_asked_for_them_and_outside_the_loop_in_one_of_their_own():
    def evaluate(x, t):
        (found,) = gather([lambda: trajectory(t)])  # as a guided estimate asks, in a task of its own
        found.evaluated(1, "a dog", 7.0, object())

    def work():
        one, two = along([990, 960], 42, evaluate), along([500, 250, 500, 250], 43, evaluate)
        for t in (990, 960):  # two walks side by side
            one(None, t), two(None, t - 490)
        evaluate(None, 30)

    (task,) = run([work])
    found = [(w.timesteps, w.seed, list(w.gammas), len(w.evaluations)) for w in task.trace.trajectories]
    assert found == [((990, 960), 42, [7.0], 2), ((500, 250, 500, 250), 43, [7.0], 2), ((30,), None, [7.0], 1)]


def test_outside_run_everything_is_answered_at_once_and_alone():
    batches = []
    answer = doubled(batches)
    seen(1)  # by nobody
    assert not trace().seeds
    assert gather([partial(ask, 1, answer), partial(ask, 2, answer)]) == [2, 4]
    assert batches == [[1], [2]]
    assert gather([]) == []


def test_a_run_inside_a_task_is_a_run_of_its_own():
    batches = []
    answer = doubled(batches)

    def outer(k):
        return sum(task.result for task in run([partial(ask, k, answer), partial(ask, k + 1, answer)]))

    assert [task.result for task in run([partial(outer, 0), partial(outer, 10)])] == [2, 42]
    assert batches == [[0, 1], [10, 11]]


# --- shared work


def test_shared_work_is_done_once_and_its_trace_reaches_all_who_ask():
    shared_work, batches, done = SharedWork(), [], []
    answer = doubled(batches)

    def shared():
        done.append(1)
        seen(42)
        return ask(ask(5, answer), answer)

    def work(k):
        seen(k)
        return ask(shared_work("key", shared) + k, answer)

    tasks = run([partial(work, k) for k in range(3)])
    assert [task.result for task in tasks] == [40, 42, 44]
    assert done == [1]
    assert batches == [[5], [10], [20, 21, 22]]
    for k, task in enumerate(tasks):
        assert list(task.trace.seeds) == [k, 42]


def test_asking_twice_notes_once():
    shared_work = SharedWork()
    (task,) = run([lambda: [shared_work("key", partial(seen, 42)) for _ in range(2)]])
    assert list(task.trace.seeds) == [42]


def test_shared_work_may_share_further_work():
    shared_work, answer = SharedWork(), doubled([])

    def low():
        seen(1)
        return ask(1, answer)

    def high():
        seen(2)
        return shared_work("low", low) + 1

    tasks = run([lambda: shared_work("high", high), lambda: shared_work("low", low), lambda: shared_work("high", high)])
    assert [task.result for task in tasks] == [3, 2, 3]
    assert [sorted(task.trace.seeds) for task in tasks] == [[1, 2], [1], [1, 2]]


def test_different_keys_are_different_work():
    shared_work = SharedWork()
    tasks = run([lambda: shared_work("a", lambda: 1), lambda: shared_work("b", lambda: 2)])
    assert [task.result for task in tasks] == [1, 2]


def test_shared_work_that_gives_none_is_done_once_too():
    shared_work, done = SharedWork(), []
    tasks = run([lambda: shared_work("key", lambda: done.append(1))] * 3)
    assert [task.result for task in tasks] == [None] * 3
    assert done == [1]


def test_outside_run_shared_work_is_done_once():
    shared_work, done = SharedWork(), []

    def shared():
        done.append(1)
        return 7

    assert [shared_work("key", shared), shared_work("key", shared)] == [7, 7]
    assert done == [1]


def test_what_was_shared_outside_a_run_is_still_there_inside_and_the_reverse():
    shared_work = SharedWork()
    assert shared_work("outside", lambda: 7) == 7
    tasks = run([lambda: shared_work("outside", lambda: 8), lambda: shared_work("outside", lambda: 9)])
    assert [task.result for task in tasks] == [7, 7]
    run([lambda: shared_work("inside", lambda: 5)])
    assert shared_work("inside", lambda: 6) == 5
    assert [task.result for task in run([lambda: shared_work("inside", lambda: 6)] * 2)] == [5, 5]


# --- errors


def test_an_error_in_one_task_ends_all_and_is_raised():
    answer, finished = doubled([]), []

    def good():
        ask(ask(1, answer), answer)
        finished.append(1)

    def bad():
        ask(1, answer)
        raise ZeroDivisionError("here")

    with pytest.raises(ZeroDivisionError, match="here"):
        run([good, bad, good])
    assert finished == []


def test_an_error_in_an_answer_is_raised_too():
    def answer(questions):
        raise ZeroDivisionError("in the network")

    with pytest.raises(ZeroDivisionError, match="in the network"):
        run([lambda: ask(1, answer)] * 2)


def test_an_error_deep_in_shared_work_or_in_a_part_is_raised():
    shared_work = SharedWork()
    for work in (lambda: shared_work("key", lambda: 1 / 0), lambda: gather([lambda: 1, lambda: 1 / 0])):
        with pytest.raises(ZeroDivisionError):
            run([work, lambda: 1])


def test_an_error_in_shared_work_or_in_a_part_is_raised_in_all_tasks_that_wait_for_it():
    shared_work, answer = SharedWork(), doubled([])

    def failing():
        ask(1, answer)
        raise ZeroDivisionError("here")

    def careful(wait):
        try:
            return wait()
        except ZeroDivisionError as error:
            return ask(len(str(error)), answer)

    def shared():
        return shared_work("key", failing)

    def part():
        return gather([lambda: ask(2, answer), failing])

    assert [task.result for task in run([partial(careful, wait) for wait in (shared, part, shared)])] == [8, 8, 8]


def test_a_work_that_another_ends_cannot_catch_that_but_cleans_up():
    cleaned, answer = [], doubled([])

    def careful():
        try:
            return ask(1, answer)
        except Exception:
            cleaned.append("caught")
        finally:
            cleaned.append("finally")

    def failing():
        with contextlib.suppress(ZeroDivisionError):
            run([careful, lambda: 1 / 0])

    failing()
    gc.collect()
    assert cleaned == ["finally"]


def test_shared_work_that_failed_or_was_ended_is_done_by_the_next_who_asks():
    """Never is the answer a silent None, as when a notebook goes on after an error or an interruption."""
    shared_work, answer = SharedWork(), doubled([])
    with pytest.raises(ZeroDivisionError):
        run([lambda: shared_work("failed", lambda: 1 / 0)])
    with pytest.raises(ZeroDivisionError):
        run([lambda: shared_work("ended", lambda: ask(1, answer)), lambda: ask(1, answer) / 0])
    with pytest.raises(ZeroDivisionError):
        run([lambda: shared_work("never begun", lambda: 1), lambda: 1 / 0])
    tasks = run(
        [
            partial(shared_work, "failed", lambda: 5),
            partial(shared_work, "ended", lambda: 6),
            partial(shared_work, "never begun", lambda: 7),
        ]
    )
    assert [task.result for task in tasks] == [5, 6, 7]
    with pytest.raises(ZeroDivisionError):
        run([lambda: shared_work("then outside", lambda: 1 / 0)])
    assert shared_work("then outside", lambda: 8) == 8


def test_shared_work_that_waits_for_itself_is_an_error():
    shared_work = SharedWork()
    with pytest.raises(RuntimeError):
        run([lambda: shared_work("a", lambda: shared_work("b", lambda: shared_work("a", lambda: 1)))])


def test_after_an_error_the_next_run_is_a_fresh_one():
    answer = doubled([])
    with pytest.raises(ZeroDivisionError):
        run([lambda: ask(1, answer), lambda: 1 / 0])
    assert [task.result for task in run([lambda: ask(1, answer)])] == [2]


def test_the_tasks_that_run_returns_are_ended():
    tasks = run([lambda: 1])
    assert isinstance(tasks[0], Task)
    assert tasks[0].dead

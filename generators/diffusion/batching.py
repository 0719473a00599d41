"""Runs many trajectories as one batch, each written as if it were alone.

A task is a coroutine that suspends whenever it asks the network. `run` resumes every task until all of them wait,
answers all their questions in one call, and repeats; tasks that start later or take more steps join or leave the batch.
Outside `run`, a question is answered at once and alone, so the same code works in a notebook. greenlet does the
switching; nothing runs in parallel, and the order is deterministic.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import greenlet

from .trace import Trace, Trajectory

Work = Callable[[], Any]
Answer = Callable[[list[Any]], list[Any]]


class Task(greenlet.greenlet):
    """A suspendable task. `trace`: what it was made of. `result`: the return value once it is `dead`.

    trajectory: the one that it walks at the moment, if any.
    """

    def __init__(
        self,
        work: Work,
        hub: greenlet.greenlet,
        trace: Trace | None = None,
        trajectory: Trajectory | None = None,
    ) -> None:
        super().__init__(lambda _: work(), hub)
        self.trace = Trace() if trace is None else trace
        self.trajectory = trajectory
        self.queued = False
        self.result: Any = None
        self.done = False  # dead without an error


@dataclass(frozen=True)
class _Question:
    content: Any
    answer: Answer


@dataclass(frozen=True)
class _Join:
    others: Sequence[Task]


def _here() -> Task | None:
    current = greenlet.getcurrent()
    return current if isinstance(current, Task) else None


def ask(question: Any, answer: Answer) -> Any:
    """Returns the answer to `question`, computed in one call with the questions of other tasks that have the same
    `answer`."""
    task = _here()
    return answer([question])[0] if task is None else task.parent.switch(_Question(question, answer))


def trace() -> Trace:
    """Returns the running task's trace. Outside `run` it is a new one, which nobody reads."""
    task = _here()
    return Trace() if task is None else task.trace


def trajectory(t: int) -> Trajectory:
    """Returns the trajectory of an estimate at t: the one that the task walks, or outside the loop one of its own."""
    task = _here()
    return (task and task.trajectory) or _begun(Trajectory((t,)))


def along(timesteps: Sequence[int], seed: int, estimate: Callable[..., Any]) -> Callable[..., Any]:
    """Returns the estimate, with all its evaluations in one new trajectory. seed: of the trajectory's noise."""
    walk = _begun(Trajectory(tuple(timesteps), seed))

    def walked(x: Any, t: int) -> Any:
        task = _here()
        if task is None:
            return estimate(x, t)
        before, task.trajectory = task.trajectory, walk
        try:
            return estimate(x, t)
        finally:
            task.trajectory = before

    return walked


def _begun(walk: Trajectory) -> Trajectory:
    trace().trajectories[walk] = None
    return walk


def gather(works: Sequence[Work]) -> list[Any]:
    """Returns the results of all works. Inside `run`, their questions join the same call, in this order."""
    task = _here()
    if task is None:
        return [work() for work in works]
    return task.parent.switch(_Join([Task(work, task.parent, task.trace, task.trajectory) for work in works]))


class SharedWork:
    """Work that several tasks need and that is done once: the first to ask starts it, the others wait for it.

    Its trace is added to that of every task that asks.
    """

    def __init__(self) -> None:
        self._tasks: dict[Hashable, Task] = {}

    def __call__(self, key: Hashable, work: Work) -> Any:
        task = _here()
        if task is None:
            if key not in self._tasks or not self._tasks[key].done:
                self._tasks[key] = run([work])[0]
            return self._tasks[key].result
        shared = self._tasks.get(key)
        if shared is None or (shared.dead and not shared.done):  # not started, or ended by an error
            shared = self._tasks[key] = Task(work, task.parent)
        task.parent.switch(_Join([shared]))
        task.trace.add(shared.trace)
        return shared.result


def run(works: Iterable[Work]) -> list[Task]:
    """Runs all works to completion, answering their questions in batches. Returns their tasks, in order.

    An error in a task is raised in the tasks that wait for its result. An uncaught error, or one in an answer, ends all
    tasks and is raised here.
    """
    hub = greenlet.getcurrent()
    tasks = [Task(work, hub) for work in works]
    begun = list(tasks)
    try:
        _run(tasks, begun)
    finally:
        for task in begun:  # after an error, end the waiting tasks: they clean up and free their memory
            if not task.dead:
                task.throw()
    return tasks


def _run(tasks: list[Task], begun: list[Task]) -> None:
    ready: deque[tuple[Task, Any, Exception | None]] = deque((task, None, None) for task in tasks)
    asking: list[tuple[Task, _Question]] = []
    joining: list[tuple[Task, _Join]] = []
    orphans: set[Task] = set()  # their waiter already has the error of another task that it waited for
    current: Answer | None = None
    while ready or asking:
        while ready:
            task, value, error = ready.popleft()
            try:
                event = task.throw(type(error), error, error.__traceback__) if error else task.switch(value)
            except Exception as raised:
                waiters = [w for w in joining if task in w[1].others]
                if not waiters and task not in orphans:
                    raise
                for waiter in waiters:
                    joining.remove(waiter)
                    ready.append((waiter[0], None, raised))
                    orphans.update(waiter[1].others)
                continue
            if task.dead:
                task.result, task.done = event, True
            elif isinstance(event, _Question):
                asking.append((task, event))
                continue  # nothing has ended, so nobody's wait is over
            else:
                joining.append((task, event))
                for other in event.others:
                    if not (other.queued or other.dead):
                        other.queued = True
                        begun.append(other)
                        ready.append((other, None, None))
            for waiter in [w for w in joining if all(other.dead for other in w[1].others)]:
                joining.remove(waiter)
                ready.append((waiter[0], [other.result for other in waiter[1].others], None))
        # Serve one network until nobody asks it: switching may mean reading another's weights from disk.
        if asking and not any(question.answer == current for _, question in asking):
            current = asking[0][1].answer
        batch = [(task, question.content) for task, question in asking if question.answer == current]
        asking = [(task, question) for task, question in asking if question.answer != current]
        if current and batch:
            answers = current([content for _, content in batch])
            ready.extend((task, answer, None) for (task, _), answer in zip(batch, answers, strict=True))
    if joining:
        raise RuntimeError("deadlock: shared work waits for itself")

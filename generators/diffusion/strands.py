"""Many trajectories at once, each written as if it were alone.

A strand is a thread of control that pauses wherever it needs an answer from the network. `run` lets every strand go on
until all of them wait, has all their questions answered in one call, and so on: strands that start later or take more
steps simply join or leave the batch. Outside `run` a question is answered at once and alone, so the same code works in
a notebook. The switching is greenlet's; nothing runs in parallel, and the order is always the same.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import greenlet

Work = Callable[[], Any]
Answer = Callable[[list[Any]], list[Any]]


class Strand(greenlet.greenlet):
    """One thread of control. `log` holds what it noted; `result` is what its work returned, once it is `dead`."""

    def __init__(self, work: Work, hub: greenlet.greenlet, log: list[tuple] | None = None) -> None:
        super().__init__(lambda _: work(), hub)
        self.log: list[tuple] = [] if log is None else log
        self.queued = False
        self.result: Any = None
        self.done = False  # dead, and not by an error


@dataclass(frozen=True)
class _Question:
    content: Any
    answer: Answer


@dataclass(frozen=True)
class _Join:
    others: Sequence[Strand]


def _here() -> Strand | None:
    current = greenlet.getcurrent()
    return current if isinstance(current, Strand) else None


def ask(question: Any, answer: Answer) -> Any:
    """The answer to `question`: in one call with the questions of the other strands that have the same `answer`."""
    strand = _here()
    return answer([question])[0] if strand is None else strand.parent.switch(_Question(question, answer))


def note(*event: Any) -> None:
    """Keep an event, such as ("seed", 42), in the log of the strand that runs. Outside `run` it is dropped."""
    if strand := _here():
        strand.log.append(event)


def together(works: Sequence[Work]) -> list[Any]:
    """The results of all the works; inside `run`, their questions stand in the same call, in this order."""
    strand = _here()
    if strand is None:
        return [work() for work in works]
    return strand.parent.switch(_Join([Strand(work, strand.parent, strand.log) for work in works]))


class Once:
    """Work that several strands need and that is done once: the first to ask starts it, the others wait for it.

    What the work notes goes to the log of every strand that asks.
    """

    def __init__(self) -> None:
        self._strands: dict[Hashable, Strand] = {}

    def __call__(self, key: Hashable, work: Work) -> Any:
        strand = _here()
        if strand is None:
            if key not in self._strands or not self._strands[key].done:
                self._strands[key] = run([work])[0]
            return self._strands[key].result
        shared = self._strands.get(key)
        if shared is None or (shared.dead and not shared.done):  # not begun yet, or ended by an error
            shared = self._strands[key] = Strand(work, strand.parent)
        strand.parent.switch(_Join([shared]))
        if ("shared", key) not in strand.log:
            strand.log += [("shared", key), *shared.log]
        return shared.result


def run(works: Iterable[Work]) -> list[Strand]:
    """Run all the works to their ends, their questions answered together. Returns their strands, in order.

    An error in any of them, or in an answer, ends all and is raised here.
    """
    hub = greenlet.getcurrent()
    strands = [Strand(work, hub) for work in works]
    begun = list(strands)
    try:
        _run(strands, begun)
    finally:
        for strand in begun:  # after an error, those that still wait: they clean up, and their memory is freed
            if not strand.dead:
                strand.throw()
    return strands


def _run(strands: list[Strand], begun: list[Strand]) -> None:
    ready: deque[tuple[Strand, Any]] = deque((strand, None) for strand in strands)
    asking: list[tuple[Strand, _Question]] = []
    joining: list[tuple[Strand, _Join]] = []
    current: Answer | None = None
    while ready or asking:
        while ready:
            strand, value = ready.popleft()
            event = strand.switch(value)
            if strand.dead:
                strand.result, strand.done = event, True
            elif isinstance(event, _Question):
                asking.append((strand, event))
            else:
                joining.append((strand, event))
                for other in event.others:
                    if not (other.queued or other.dead):
                        other.queued = True
                        begun.append(other)
                        ready.append((other, None))
            for waiter in [w for w in joining if all(other.dead for other in w[1].others)]:
                joining.remove(waiter)
                ready.append((waiter[0], [other.result for other in waiter[1].others]))
        # One network at a time, for as long as somebody asks it: another's weights may have to come from disk.
        if asking and not any(question.answer == current for _, question in asking):
            current = asking[0][1].answer
        batch = [(strand, question.content) for strand, question in asking if question.answer == current]
        asking = [(strand, question) for strand, question in asking if question.answer != current]
        if current and batch:
            answers = current([content for _, content in batch])
            ready.extend(zip((strand for strand, _ in batch), answers, strict=True))
    if joining:
        raise RuntimeError("shared work waits for itself")

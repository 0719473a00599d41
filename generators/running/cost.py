"""What drawing a section is expected to take: what its last drawing took, here or elsewhere."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Cost:
    """The cost of one drawing, in seconds of the machine that made the last one; of an unknown one in evaluations.

    evaluations: of the networks; 0 if unknown. seconds: None if unknown. stages: evaluations and seconds of each stage,
    in the order in which they are drawn. where: the machine, as text; "" if unknown.
    """

    evaluations: int = 0
    seconds: float | None = None
    stages: tuple[tuple[int, float], ...] = ()
    where: str = ""

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Cost:
        """Returns what a section's record says. Raises KeyError, TypeError, ValueError or AttributeError if it is
        damaged."""
        stages: dict[int, tuple[int, float]] = {}
        for walk in record.get("trajectories", ()):
            evaluations, seconds = stages.get(walk["stage"], (0, 0.0))
            stages[walk["stage"]] = evaluations + int(walk["evaluations"]), seconds + float(walk["seconds"])
        where = json.dumps(record.get("where", ""), sort_keys=True)
        in_order = tuple(of_stage for _, of_stage in sorted(stages.items()))
        return cls(int(record["evaluations"]), float(record["seconds"]), in_order, where)

    @property
    def is_known(self) -> bool:
        return self.seconds is not None or self.evaluations > 0

    @property
    def whole(self) -> float:
        return float(self.evaluations) if self.seconds is None else self.seconds

    def spent(self, evaluations: int) -> float:
        """Returns which part of the cost so many evaluations are. A later stage takes longer for each than the first,
        and begins when that has ended."""
        rest, seconds = float(evaluations), 0.0
        in_all = sum(of_stage for _, of_stage in self.stages)
        for count, of_stage in self.stages:
            if count:
                seconds += of_stage * min(1.0, rest / count)
                rest = max(0.0, rest - count)
        share = seconds / in_all if in_all else evaluations / self.evaluations if self.evaluations else 0.0
        return self.whole * min(1.0, share)

"""What an image was made of: inputs, seeds, and the trajectories along which a network was evaluated.

Batching gives every task a trace. The sampling loop calls `batching.along` once, so a trajectory has an identity:
panels that share it, such as both views of an anagram, name the same object.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import SupportsFloat


@dataclass(eq=False)
class Trajectory:
    """One walk of the sampling loop, or one estimate outside it.

    timesteps: all that it visits, in order. seed: of its generator; None outside the loop. stage: of the cascade, 1 to
    3; 0 before the first evaluation. prompts, gammas: of its estimates, each once, in order of appearance.
    evaluations: of the network, each once, although several estimates may share one; float() of one is its duration in
    seconds.
    """

    timesteps: tuple[int, ...]
    seed: int | None = None
    stage: int = 0
    prompts: dict[str, None] = field(default_factory=dict)
    gammas: dict[float, None] = field(default_factory=dict)
    evaluations: dict[SupportsFloat, None] = field(default_factory=dict)

    def evaluated(self, stage: int, prompt: str, gamma: float | None, evaluation: SupportsFloat) -> None:
        """Adds an evaluation. gamma: the guidance scale that it serves; None without guidance."""
        self.stage = stage
        self.prompts[prompt] = None
        self.evaluations[evaluation] = None
        if gamma is not None:
            self.gammas[gamma] = None


@dataclass
class Trace:
    """inputs: the digest of each input image, by name. seeds: of the samples whose noise is used. Both in order."""

    inputs: dict[str, str] = field(default_factory=dict)
    seeds: dict[int, None] = field(default_factory=dict)
    trajectories: dict[Trajectory, None] = field(default_factory=dict)

    def add(self, other: Trace) -> None:
        """Adds what another trace holds, such as that of shared work."""
        self.inputs |= other.inputs
        self.seeds |= other.seeds
        self.trajectories |= other.trajectories

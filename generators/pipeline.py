"""pocket as a diffusers pipeline: text to images of 64, 256 or 1024 pixels.

    from diffusers import DiffusionPipeline

    pocket = DiffusionPipeline.from_pretrained(
        "generators/models/pocket/weights",
        custom_pipeline="generators/pipeline.py",
        trust_remote_code=True,
    )
    pocket("an oil painting of a fox", pixels=256).images[0].save("fox.png")

`pocket.to("cuda")` or `pocket.to("mps")` moves it; the pictures are those of the CPU, up to rounding.

It needs this repository's package (`pip install -e .`), because it samples with the report's own functions. diffusers
asks for `trust_remote_code` before it runs any pipeline file, a local one too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from diffusers import (
    DDPMScheduler,
    DiffusionPipeline,
    FluxTransformer2DModel,
    ImagePipelineOutput,
    UNet2DConditionModel,
)
from diffusers.image_processor import VaeImageProcessor

from generators.diffusion import batching
from generators.diffusion.estimates import cfg
from generators.diffusion.sampling import gaussian, iterative_denoise, last
from generators.diffusion.schedule import T, strided
from generators.lab import SEED, Lab
from generators.models.pocket.cascade import Pocket

PIXELS = (64, 256, 1024)  # sizes of the cascade's stages
Callback = Callable[[DiffusionPipeline, int, torch.Tensor, dict[str, Any]], dict[str, Any] | None]


class PocketPipeline(DiffusionPipeline):
    """The cascade of transformer (64 pixels), stage_2 (256) and stage_3 (1024), in float32 on any device."""

    model_cpu_offload_seq = "transformer->stage_2->stage_3"

    def __init__(
        self,
        transformer: FluxTransformer2DModel,
        stage_2: UNet2DConditionModel,
        stage_3: UNet2DConditionModel,
        scheduler: DDPMScheduler,
    ) -> None:
        super().__init__()
        self.register_modules(transformer=transformer, stage_2=stage_2, stage_3=stage_3, scheduler=scheduler)
        self.model = Pocket(transformer.float(), stage_2.float(), stage_3.float(), scheduler)
        self.image_processor = VaeImageProcessor(vae_scale_factor=1)

    @torch.inference_mode()
    def __call__(
        self,
        prompt: str | Sequence[str],
        pixels: int | None = None,
        num_images_per_prompt: int = 1,
        guidance_scale: float | None = None,
        seed: int = SEED,
        stride: int = 30,
        output_type: str = "pil",
        *,
        negative_prompt: str | Sequence[str] | None = None,
        num_inference_steps: int | None = None,
        height: int | None = None,
        width: int | None = None,
        generator: torch.Generator | Sequence[torch.Generator] | None = None,
        callback_on_step_end: Callback | None = None,
        callback_on_step_end_tensor_inputs: Sequence[str] = ("latents",),
        return_dict: bool = True,
    ) -> ImagePipelineOutput | tuple[Any]:
        """Samples `num_images_per_prompt` images of each prompt, prompt by prompt.

        pixels, or height and width: of a side; one of PIXELS, 64 by default. guidance_scale: gamma of stage 1; None for
        pocket's own. negative_prompt: what stage 1 is guided away from, for all prompts or one for each; the empty
        prompt by default. stride: step from timestep to timestep of stage 1. num_inference_steps: the number of its
        timesteps instead, evenly spaced; 34 are those of the default stride.

        seed: of the first image of each prompt; the n-th has seed + n, so the report's sample k is the image of seed
        42 + k. generator: what draws all noise instead, one for all images or one for each. At 64 pixels one that is
        seeded with 42 + k draws the report's sample k as well; the report's later stages have seeds of their own.

        callback_on_step_end: is called after each step of stage 1 as callback(pipeline, step, timestep,
        {"latents": x}), x (N, 3, 64, 64) of all images, and may return {"latents": …} to replace them.
        callback_on_step_end_tensor_inputs: can name latents only. output_type: "pil", "np" or "pt", as diffusers' image
        processors return them. return_dict: False returns the tuple (images,).

        Raises ValueError for arguments of other values or numbers, and unless the weights are in float32.
        """
        prompts = [prompt] if isinstance(prompt, str) else list(prompt)
        works = len(prompts) * num_images_per_prompt
        if not prompts or num_images_per_prompt < 1:
            raise ValueError(f"{len(prompts)} prompts, {num_images_per_prompt} images of each: nothing to draw")
        enlargements = PIXELS.index(_side(pixels, height, width))
        negatives = _each("negative_prompt", negative_prompt or "", len(prompts), "prompts")
        generators = _each("generator", generator, works, "images")
        if set(callback_on_step_end_tensor_inputs) - {"latents"}:
            raise ValueError(f"callback_on_step_end_tensor_inputs = {callback_on_step_end_tensor_inputs}: only latents")
        if self.dtype != torch.float32:
            raise ValueError(f"the weights are {self.dtype}; pocket computes in float32: call `.to(torch.float32)`")
        timesteps = strided(stride) if num_inference_steps is None else _spaced(num_inference_steps)
        self.model.device = self._execution_device
        stage_1, lab = self.model.first, Lab(self.model)
        gamma = stage_1.gamma if guidance_scale is None else guidance_scale

        def stepped(found: list[tuple[torch.Tensor, int | None]]) -> list[torch.Tensor]:
            """Shows the images to the callback after a step, which all of them take together."""
            latents, t_next = torch.stack([x for x, _ in found]), found[0][1]
            step = (len(timesteps) if t_next is None else timesteps.index(t_next)) - 1
            assert callback_on_step_end
            given = callback_on_step_end(self, step, torch.tensor(timesteps[step]), {"latents": latents})
            return list((given or {}).get("latents", latents))

        def project(x: torch.Tensor, t_next: int | None) -> torch.Tensor:
            return batching.ask((x, t_next), stepped) if callback_on_step_end else x

        def draw(number: int) -> torch.Tensor:
            k, n = divmod(number, num_images_per_prompt)

            def source(stage: int) -> torch.Generator:
                return generators[number] or lab.generator(seed - SEED + n, stage)

            noise = source(1)
            estimate = cfg(stage_1.noise(prompts[k], gamma), stage_1.noise(negatives[k], gamma), gamma)
            start = gaussian(noise, self.model.blank())
            x = last(iterative_denoise(lab.schedule, estimate, start, timesteps, noise, project))
            for stage in range(2, 2 + enlargements):
                x = self.model.enlarge(x, prompts[k], source(stage))
            return x

        later = (self.model.second, self.model.third)[:enlargements]
        evaluations = 2 * len(timesteps) + sum(len(stage.timesteps) for stage in later)
        with self.progress_bar(total=works * evaluations) as progress:
            self.model.meter.on_evaluated = progress.update
            drawn = batching.run([partial(draw, number) for number in range(works)])
        self.maybe_free_model_hooks()
        x = torch.stack([task.result for task in drawn]).clamp(-1, 1)
        images = self.image_processor.postprocess(x, output_type)
        return ImagePipelineOutput(images=images) if return_dict else (images,)


def _side(*wanted: int | None) -> int:
    """Returns the side in pixels that pixels, height and width ask for. Raises ValueError unless pocket has it."""
    sides = {side for side in wanted if side is not None} or {PIXELS[0]}
    if len(sides) > 1 or not sides <= set(PIXELS):
        found = " and ".join(map(str, sorted(sides)))
        raise ValueError(f"{found} pixels: pocket draws squares of {', '.join(map(str, PIXELS[:-1]))} or {PIXELS[-1]}")
    return sides.pop()


def _each(name: str, given: Any, count: int, of: str) -> list[Any]:
    """Returns what was given for each of the prompts or images. Raises ValueError for a list of another length."""
    if not isinstance(given, (list, tuple)):
        return [given] * count
    if len(given) != count:
        raise ValueError(f"{name}: {len(given)} for {count} {of}; give one, or one for each")
    return list(given)


def _spaced(count: int) -> list[int]:
    """Returns so many falling timesteps down to 0: a stride's where one has so many, such as 34, 50 or 100. Raises
    ValueError unless they are 2 to 1000."""
    if not 2 <= count <= T:
        raise ValueError(f"num_inference_steps = {count}: 2 to {T} are possible")
    first = strided(math.ceil(T / count))[0]
    return [round(first * k / (count - 1)) for k in reversed(range(count))]

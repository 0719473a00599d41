"""pocket as a diffusers pipeline: text to images of 64, 256 or 1024 pixels.

    from diffusers import DiffusionPipeline

    pocket = DiffusionPipeline.from_pretrained(
        "generators/models/pocket/weights",
        custom_pipeline="generators/pipeline.py",
        trust_remote_code=True,
    )
    pocket("an oil painting of a fox", pixels=256).images[0].save("fox.png")

It needs this repository's package (`pip install -e .`), because it samples with the report's own functions. diffusers
asks for `trust_remote_code` before it runs any pipeline file, a local one too.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

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
from generators.diffusion.schedule import strided
from generators.lab import SEED, Lab, Scale
from generators.models.pocket.cascade import Pocket

PIXELS = (64, 256, 1024)  # sizes of the cascade's stages


class PocketPipeline(DiffusionPipeline):
    """The cascade of transformer (64 pixels), stage_2 (256) and stage_3 (1024), on the CPU in float32."""

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
        pixels: int = 64,
        num_images_per_prompt: int = 1,
        guidance_scale: float | None = None,
        seed: int = SEED,
        stride: int = 30,
        output_type: str = "pil",
    ) -> ImagePipelineOutput:
        """Samples `num_images_per_prompt` images of each prompt, prompt by prompt.

        pixels: of a side; one of PIXELS. guidance_scale: gamma of stage 1; None for pocket's own. seed: of the first
        image of each prompt; the n-th has seed + n, as the report's sample k has SEED + k. stride: step
        from timestep to timestep of stage 1. output_type: "pil", "np" or "pt", as diffusers' image processors return
        them. Raises ValueError for another size, or without a prompt.
        """
        prompts = [prompt] if isinstance(prompt, str) else list(prompt)
        if pixels not in PIXELS:
            raise ValueError(f"pixels = {pixels}: pocket draws {', '.join(map(str, PIXELS[:-1]))} or {PIXELS[-1]}")
        if not prompts or num_images_per_prompt < 1:
            raise ValueError(f"{len(prompts)} prompts, {num_images_per_prompt} images of each: nothing to draw")
        lab, timesteps = Lab(self.model), strided(stride)

        def draw(prompt: str, k: int) -> torch.Tensor:
            guided = lab.guided(prompt, Scale.OWN if guidance_scale is None else guidance_scale)
            x = lab.sample(guided, k, timesteps)
            for _ in range(PIXELS.index(pixels)):
                x = lab.enlarge(x, prompt, k)
            return x

        first = seed - SEED  # the number of the sample with this seed
        works = [partial(draw, prompt, first + n) for prompt in prompts for n in range(num_images_per_prompt)]
        with self.progress_bar(total=2 * len(timesteps) * len(works)) as progress:
            self.model.meter.on_evaluated = progress.update
            drawn = batching.run(works)
        images = torch.stack([task.result for task in drawn]).clamp(-1, 1)
        return ImagePipelineOutput(images=self.image_processor.postprocess(images, output_type))

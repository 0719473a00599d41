"""Train pocket's stage 1: a patch transformer that predicts the clean 64 x 64 image from a noisy one and a caption.

    python -m generators.pocket.train --minutes 110        # resumes from its last checkpoint

The network outputs x0 (prediction type "sample") under a v-weighted loss: |v - v^|^2 = |x0 - x0^|^2 / sigma^2 with
sigma^2 = 1 - abar_t, after Li and He 2025, "Back to Basics: Let Denoising Generative Models Denoise", and Salimans and
Ho 2022, "Progressive Distillation". High noise levels, where only the caption tells what to draw, come more often.
Mixed precision (bfloat16 autocast), exponential moving average of the weights, warm-up, constant rate, then a linear
decay over the last third of the time.
"""

import argparse
import shutil
import time
from pathlib import Path

import numpy as np
import torch

from ..models import minilm
from ..models.pocket import clean, denoiser, scheduler
from . import data

CHECKPOINT = Path(__file__).parents[2] / ".cache" / "pocket" / "stage_1.pt"
WEIGHTS = Path(__file__).parent / "weights"
BATCH, RATE, WARMUP, EMA = 32, 1e-3, 100, 0.999
CAPTION_DROPOUT = 0.1  # how often the caption is "", which is what guidance calls unconditional
LEAST_SIGMA = 0.2  # caps the loss weight at 25: at less noise the picture is all but given


def load_data() -> tuple[torch.Tensor, list[tuple[str, ...]], torch.Tensor]:
    """All pictures at 64 pixels, uint8 (N, 3, 64, 64); their captions; their weights. Kept beside the checkpoint."""
    kept = CHECKPOINT.parent / "pictures.npz"
    if not kept.exists():
        print("rasterising the training pictures …", flush=True)
        kept.parent.mkdir(parents=True, exist_ok=True)
        drawings = list(data.drawings())
        np.savez(
            kept.with_suffix(".part.npz"),
            rgb=np.stack([drawing.render(256) for drawing in drawings]),
            captions=np.array(["\n".join(drawing.captions) for drawing in drawings]),
            weights=np.array([drawing.weight for drawing in drawings]),
        )
        kept.with_suffix(".part.npz").rename(kept)
    with np.load(kept) as stored:
        rgb = stored["rgb"].reshape(-1, 64, 4, 64, 4, 3).mean((2, 4)).round().astype(np.uint8)
        captions = [tuple(c.split("\n")) for c in stored["captions"]]
        weights = stored["weights"]
    return torch.from_numpy(rgb).permute(0, 3, 1, 2).contiguous(), captions, torch.from_numpy(weights)


def timesteps(count: int, rng: torch.Generator) -> torch.Tensor:
    """t in 0 … 999 at a density that rises from 1/2 to 3/2 of the even one."""
    u = torch.rand(count, generator=rng)
    return (1000 * ((0.25 + 2 * u).sqrt() - 0.5)).long().clamp(max=999)


def learning_rate(progress: float, update: int) -> float:
    """Warm-up by updates; then constant; from progress 2/3 on a linear fall to 2%."""
    return RATE * min(1.0, (update + 1) / WARMUP) * max(0.02, min(1.0, 3 * (1 - progress)))


def main() -> None:
    parser = argparse.ArgumentParser(description="Train pocket's 64-pixel stage; resumes.")
    parser.add_argument("--minutes", type=float, default=110, help="training time in all, earlier runs counted in")
    budget = 60 * parser.parse_args().minutes

    pictures, captions, weights = load_data()
    vocabulary = sorted({c for many in captions for c in many} | {""})
    tokens = minilm.encode(vocabulary)[0]
    row = {caption: k for k, caption in enumerate(vocabulary)}
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.manual_seed(42)
    model = denoiser().to(device)
    ema = {name: value.clone() for name, value in model.state_dict().items()}
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, betas=(0.9, 0.99), weight_decay=0.01, fused=True)
    update, spent = 0, 0.0
    if CHECKPOINT.exists():
        state = torch.load(CHECKPOINT, map_location=device, weights_only=True)
        model.load_state_dict(state["model"]), optimizer.load_state_dict(state["optimizer"])
        ema, update, spent = state["ema"], state["update"], state["spent"]
    # Flux casts t to the type that this layer gives: in bfloat16 neighbouring timesteps would be one.
    model.x_embedder.forward = torch.autocast(device, enabled=False)(model.x_embedder.forward)
    forward = torch.compile(model) if shutil.which("cc") else model
    abar = scheduler().alphas_cumprod.to(device)
    rng = torch.Generator().manual_seed(update)
    print(
        f"{len(pictures)} pictures, {len(vocabulary)} captions, from update {update}, {spent / 60:.0f} min spent",
        flush=True,
    )

    began, losses, saved = time.monotonic() - spent, [], spent
    while (spent := time.monotonic() - began) < budget:
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(spent / budget, update)
        index = torch.multinomial(weights, BATCH, replacement=True, generator=rng)
        chosen = [captions[i][int(torch.randint(len(captions[i]), (), generator=rng))] for i in index.tolist()]
        dropped = torch.rand(BATCH, generator=rng) < CAPTION_DROPOUT
        rows = torch.tensor([row["" if d else c] for c, d in zip(chosen, dropped.tolist(), strict=True)])
        x0 = (pictures[index].float() / 127.5 - 1).to(device)
        t = timesteps(BATCH, rng).to(device)
        eps = torch.randn(x0.shape, generator=rng).to(device)
        abar_t = abar[t].view(-1, 1, 1, 1)
        x_t = abar_t.sqrt() * x0 + (1 - abar_t).sqrt() * eps
        with torch.autocast(device, torch.bfloat16):
            x0_hat = clean(forward, x_t, t, tokens[rows].to(device))
        loss = ((x0_hat.float() - x0).square() / (1 - abar_t).clamp(min=LEAST_SIGMA**2)).mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        decay = min(EMA, (1 + update) / (10 + update))
        with torch.no_grad():
            torch._foreach_lerp_(list(ema.values()), list(model.state_dict().values()), 1 - decay)
        update += 1
        losses.append(loss.item())
        if update % 100 == 0:
            done, loss_now = f"{spent / 60:5.1f} of {budget / 60:.0f} min", np.mean(losses[-100:])
            print(f"update {update:6d}  {done}  loss {loss_now:.4f}  {update * BATCH / spent:.0f} images/s", flush=True)
        if spent - saved > 240:
            saved = spent
            save(model, optimizer, ema, update, spent)
    save(model, optimizer, ema, update, spent)
    export(ema)


def save(model, optimizer, ema, update: int, spent: float) -> None:
    """Write the checkpoint beside its old version, then replace that: a killed run resumes from a whole one."""
    state = {
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "ema": ema,
        "update": update,
        "spent": spent,
    }
    torch.save(state, CHECKPOINT.with_suffix(".part"))
    CHECKPOINT.with_suffix(".part").rename(CHECKPOINT)


def export(ema: dict[str, torch.Tensor]) -> None:
    """Save the averaged weights as diffusers lays a model out, in float16."""
    model = denoiser()
    model.load_state_dict(ema)
    model.half().save_pretrained(WEIGHTS / "transformer", max_shard_size="16MB")
    scheduler().save_pretrained(WEIGHTS / "scheduler")


if __name__ == "__main__":
    main()

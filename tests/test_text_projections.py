"""The UNet as this report calls it, compared with the unchanged UNet; and its graph for a GPU's compiler."""

import pytest
import torch

from generators.bench import configurations
from generators.models.deepfloyd.text_projections import CachedTextUNet
from generators.models.gpu import Stopwatch

TINY = configurations.Configuration("tiny", (8, 32), layers=1, head=8, text=16, text_heads=2, groups=4)
PROMPTS = ["", "a rocket ship"]


def normal(*shape: int, seed: int = 42) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


class Texts:
    """A made-up text encoder, which remembers what it was asked."""

    def __init__(self, dtype: torch.dtype = torch.float32) -> None:
        self.asked, self.dtype = [], dtype

    def __call__(self, prompt: str) -> torch.Tensor:
        self.asked.append(prompt)
        return normal(1, 9, TINY.text, seed=len(prompt)).to(self.dtype)


def plain(unet, texts: Texts, x: torch.Tensor, t: torch.Tensor, prompts: list[str]) -> torch.Tensor:
    return unet(x, t, encoder_hidden_states=torch.cat([texts(prompt) for prompt in prompts]), return_dict=False)[0]


@pytest.fixture
def unet():
    return configurations.network(TINY, "cpu")


X, T = normal(2, 3, 16, 16), torch.tensor([990, 30])


@torch.inference_mode()
def test_in_float32_it_answers_with_the_unets_own_bits_and_leaves_the_unet_as_it_was(unet):
    six = plain(unet, Texts(), X, T, PROMPTS)
    noise = CachedTextUNet(unet, Texts())(X, T, PROMPTS)
    assert torch.equal(noise.eps, six[:, :3])
    assert torch.equal(noise.frac, (six[:, 3:] + 1) / 2)
    assert torch.equal(plain(unet, Texts(), X, T, PROMPTS), six)
    assert not torch.equal(noise.eps, CachedTextUNet(unet, Texts())(X, T, PROMPTS[::-1]).eps)


@torch.inference_mode()
def test_a_text_is_projected_once_for_all_steps_with_the_same_prompts(unet):
    texts, counted = Texts(), []
    unet.encoder_hid_proj.register_forward_hook(lambda *_: counted.append("states"))
    unet.add_embedding.register_forward_hook(lambda *_: counted.append("pooled"))
    unet_ = CachedTextUNet(unet, texts)
    for t in (990, 960, 930):
        unet_(X, torch.tensor([t, t]), PROMPTS)
    assert (texts.asked, counted) == (PROMPTS, ["states", "pooled"])
    unet_(X, T, PROMPTS[::-1])
    assert counted == ["states", "pooled"] * 2


@torch.inference_mode()
def test_in_half_precision_it_has_channels_last_and_is_near(unet):
    exact = CachedTextUNet(unet, Texts())(X, T, PROMPTS)
    half = CachedTextUNet(configurations.network(TINY, "cpu", torch.bfloat16), Texts(torch.bfloat16))
    near = half(X, T, PROMPTS)
    assert near.eps.dtype == torch.float32
    weight = half.network.conv_in.weight
    assert (weight.dtype, weight.is_contiguous(memory_format=torch.channels_last)) == (torch.bfloat16, True)
    for one, other in zip(near, exact, strict=True):
        assert (one - other).abs().mean() < 0.03 * other.std()


@torch.inference_mode()
def test_compiled_it_is_one_graph_for_all_batches_and_timesteps(unet, monkeypatch):
    """What the tracer hands to the compiler is counted and run as it stands: the compiler itself takes minutes."""
    from torch._inductor import compile_fx

    graphs = []

    def as_it_stands(graph, inputs, **_):
        graphs.append(graph)
        return graph.forward

    monkeypatch.setattr(compile_fx, "compile_fx", as_it_stands)
    torch._dynamo.reset()
    unet_, eager = CachedTextUNet(unet, Texts()), CachedTextUNet(unet, Texts())
    expected = {n: eager(normal(n, 3, 16, 16), torch.arange(n) * 30, ["a"] * n).eps for n in (2, 5, 3)}
    unet_.compile()
    for n, eps in expected.items():
        found = unet_(normal(n, 3, 16, 16), torch.arange(n) * 30, ["a"] * n).eps
        torch.testing.assert_close(found, eps, rtol=0, atol=1e-5)
    assert len(graphs) == 1
    torch._dynamo.reset()


def test_a_lap_is_a_share_of_the_seconds():
    stopwatch = Stopwatch(torch.device("cpu"), images=4)
    stopwatch.stop()
    stopwatch.began, stopwatch.ended = 1.0, 3.0
    assert float(stopwatch) == 0.5

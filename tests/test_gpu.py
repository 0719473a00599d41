"""DeepFloyd on a stand-in for a CUDA device: no tensor on the wrong device, no wait for the GPU, and memory."""

from collections import Counter
from functools import cache, partial

import pytest
import stand_in_cuda
import tiny_if
import torch

from generators.diffusion import sample, strided
from generators.diffusion.batching import run
from generators.diffusion.sampling import last
from generators.models.deepfloyd.cascade import BY_LAYER, HELD, IN_TURN, DeepFloyd, SecondStage, Spot, ThirdStage
from generators.models.deepfloyd.text import Embeddings, encode

CPU, CUDA = torch.device("cpu"), torch.device("cuda")
STAGES = ("stage_1", "stage_2", "stage_3")
OFFLOADING = pytest.mark.parametrize("offloading", [HELD, IN_TURN, BY_LAYER])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_if.save(tmp_path_factory.mktemp("tiny-if"), later=True)


@pytest.fixture(scope="module")
def embeddings(folder):
    kept = Embeddings(folder / "embeddings", "tiny")
    encode(["", "a dog"], kept, folder / "stage_1", CPU)
    return kept


@pytest.fixture(autouse=True)
def few_steps(monkeypatch):
    monkeypatch.setattr(SecondStage, "steps", 4)
    monkeypatch.setattr(ThirdStage, "steps", 3)


@pytest.fixture
def float32(monkeypatch):
    """On the stand-in as well, so that results can be compared."""
    monkeypatch.setattr(Spot, "dtype", torch.float32)


@pytest.fixture
def gpu():
    with stand_in_cuda.gpu() as counts, torch.no_grad():
        yield counts


def loaded(folder, embeddings, offloading=HELD, device=CUDA, chunk=8):
    spots = {stage: Spot(device, offloading, chunk) for stage in STAGES}
    return DeepFloyd("deepfloyd", {stage: folder / stage for stage in STAGES}, spots, embeddings.read)


def seeded(k=0):
    return torch.Generator().manual_seed(42 + k)


@cache
def small_on(device):
    return torch.rand(3, 16, 16, generator=seeded(5)).to(device) * 2 - 1


def sampling(model, k=0):
    like = torch.zeros(3, 16, 16, device=model.device)
    return last(sample(model.schedule, model.first.guided("a dog"), strided(200), seeded(k), like))


def enlarging(model, k=0):
    return model.second.enlarge(small_on(model.device), "a dog", seeded(k))


def drawn(work, model, images=1):
    return [task.result for task in run([partial(work, model, k) for k in range(images)])]


def third(model):
    return model.third.enlarge(small_on(model.device), "a dog", seeded())


@pytest.fixture(scope="module")
def on_the_cpu(folder, embeddings):
    """What each stage draws on the CPU."""
    with pytest.MonkeyPatch.context() as patch, torch.no_grad():
        patch.setattr(SecondStage, "steps", 4)
        patch.setattr(ThirdStage, "steps", 3)
        model = loaded(folder, embeddings, device=CPU)
        return [*drawn(sampling, model), *drawn(enlarging, model), third(model)]


@OFFLOADING
def test_in_float32_it_draws_what_the_cpu_draws(folder, embeddings, on_the_cpu, float32, gpu, offloading):
    model = loaded(folder, embeddings, offloading)
    images = [*drawn(sampling, model), *drawn(enlarging, model), third(model)]
    for image, expected in zip(images, on_the_cpu, strict=True):
        assert image.is_cuda
        torch.testing.assert_close(image.cpu(), expected, rtol=0, atol=1e-4)


@OFFLOADING
def test_in_float16_all_images_are_finite(folder, embeddings, gpu, offloading):
    model = loaded(folder, embeddings, offloading)
    for image in (*drawn(sampling, model), *drawn(enlarging, model), third(model)):
        assert image.dtype == torch.float32
        assert image.isfinite().all()


def test_prompts_are_encoded_there(folder, embeddings, tmp_path, gpu):
    kept = Embeddings(tmp_path, "tiny")
    encode(["", "a dog"], kept, folder / "stage_1", CUDA)
    torch.testing.assert_close(kept.read("a dog"), embeddings.read("a dog"), rtol=0, atol=1e-5)


@OFFLOADING
def test_loading_empties_the_gpus_cache_once_a_stage_at_most(folder, embeddings, gpu, offloading):
    model = loaded(folder, embeddings, offloading)
    drawn(sampling, model), drawn(enlarging, model), third(model), drawn(sampling, model)
    assert gpu["empty_cache"] <= 4


def layouts(unet):
    return {name: p.stride() for name, p in unet.named_parameters() if p.dim() == 4}


@OFFLOADING
def test_convolutions_keep_their_memory_format_however_they_are_loaded(folder, embeddings, gpu, offloading):
    model, seen = loaded(folder, embeddings, offloading), {}

    def look(name, layer, *_):
        seen[name] = layer.weight.stride()

    for name, layer in model.first.unet.network.named_modules():
        if isinstance(layer, torch.nn.Conv2d):
            layer.register_forward_hook(partial(look, name), prepend=True)
    for _ in range(2):
        model.first.predict(torch.zeros(1, 3, 16, 16, device=CUDA), torch.tensor([5]).to(CUDA), [""])
        drawn(enlarging, model)
    assert seen
    for stride in seen.values():
        assert stride[1] == 1  # channels last


def test_stages_1_and_2_never_wait_for_the_gpu(folder, embeddings, gpu):
    model = loaded(folder, embeddings)
    for work in (sampling, enlarging):
        drawn(work, model, 3)  # reads the embeddings
        before = Counter(gpu)
        drawn(work, model, 3)
        assert gpu - before == Counter()

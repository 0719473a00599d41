"""DeepFloyd on a stand-in for a CUDA device: no tensor on the wrong device, no wait for the GPU, and memory."""

import shutil
import weakref
from collections import Counter
from functools import cache, partial
from pathlib import Path

import pytest
import stand_in_cuda
import tiny_if
import torch

from generators import lab
from generators.bench import gpu as bench
from generators.bench.configurations import CONFIGURATIONS, Configuration, first
from generators.bench.random_weights import second
from generators.bench.random_weights import third as upscaler
from generators.diffusion import sample, strided
from generators.diffusion.batching import run
from generators.diffusion.sampling import last
from generators.figures import Figure, Section, each
from generators.models.deepfloyd import disk, machine
from generators.models.deepfloyd.cascade import BY_LAYER, HELD, IN_TURN, DeepFloyd, SecondStage, Spot, ThirdStage
from generators.models.deepfloyd.text import Embeddings, encode
from generators.models.deepfloyd.text_projections import CachedTextUNet
from generators.models.forward_cache import ForwardCache
from generators.records.errors import ModelError
from generators.running.run import load_section
from generators.running.session import Observer, Session, workload

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


# --- an interrupted run's outputs


class Stopped(Exception):
    pass


def section():
    """Two guided samples, and two of each later stage."""

    def draw(lab, stage, k):
        model = lab.model
        image = (sampling, enlarging, lambda model, k: third(model))[stage - 1](model, k)
        return torch.nn.functional.interpolate(image[None], (64, 64))[0]

    cases = each(stage=(1, 2, 3), k=(0, 1))
    figure = Figure("all", caption="Samples.", label="{stage} {k}", alt="{k}", cases=cases, draw=draw)
    return Section("1.5", "Samples", [figure])


def test_a_run_that_is_cut_short_goes_on_with_the_same_pixels(folder, embeddings, gpu, tmp_path, monkeypatch):
    def drawn_in(name):
        session = Session(loaded(folder, embeddings), Observer())
        record = session.draw(section(), tmp_path / name / "1.5", {}, source="its definitions")
        return [panel["pixels"] for panel in record["figures"][0]["panels"]]

    usual, written = ForwardCache._write_one, []
    monkeypatch.setattr(ForwardCache, "_write_one", lambda self, *told: written.append(1) or usual(self, *told))
    expected = drawn_in("whole")
    answers, moment = len(written), len(written) // 3

    def stop(self, *told):
        written.append(1)
        if len(written) >= moment:
            raise Stopped
        usual(self, *told)

    monkeypatch.setattr(ForwardCache, "_write_one", stop)
    written.clear()
    with pytest.raises(Stopped):
        drawn_in("cut")
    monkeypatch.setattr(ForwardCache, "_write_one", lambda self, *told: written.append(1) or usual(self, *told))
    written.clear()
    again = drawn_in("cut")
    assert again == expected
    left = answers - (moment - 1)
    assert left <= len(written) < left + 4  # at most one forward of four images is computed again
    assert not list((tmp_path / "cut").glob(".1.5.outputs"))


def test_the_cache_waits_a_fixed_number_of_times_a_forward(folder, embeddings, gpu, tmp_path):
    model = loaded(folder, embeddings)
    drawn(sampling, model)

    def waits(images):
        calls, before = model.meter.calls, Counter(gpu)
        drawn(sampling, model, images)
        model.meter.cache.close()
        return model.meter.calls - calls, gpu - before

    model.meter.cache = ForwardCache(tmp_path, "about")
    forwards, found = waits(4)
    assert found == {"synchronize an event": 2 * forwards}  # in the thread: for the copies, and for the duration
    model.meter.cache = ForwardCache(tmp_path, "about")
    forwards, found = waits(4)  # all outputs are found
    assert found == {"copy to the CPU": forwards, "copy to the GPU": 2 * forwards}


# --- memory that runs out

FULL = {
    "torch": torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
    "CUDA": torch.AcceleratorError("CUDA error: out of memory", 2),
    "cuBLAS": RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    "cuDNN": RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
}
EACH = pytest.mark.parametrize("error", FULL.values(), ids=FULL.keys())


@EACH
@pytest.mark.parametrize("offloading", [HELD, IN_TURN])
def test_a_batch_that_is_too_large_is_halved_once_its_activations_are_gone(
    folder, embeddings, monkeypatch, offloading, error
):
    alive, batches = [], []

    def empty_cache():
        if batches:
            assert [activation() for activation in alive] == [None] * len(alive)

    with stand_in_cuda.gpu(empty_cache=empty_cache), torch.no_grad():
        model = loaded(folder, embeddings, offloading)
        expected = [image.cpu() for image in drawn(sampling, model, 4)]
        usual = CachedTextUNet.__call__

        def limited(self, x, t, prompts):
            activations = x + 1
            alive.append(weakref.ref(activations))
            batches.append(len(x))
            if len(x) > 3:
                raise type(error)(*error.args)
            return usual(self, x, t, prompts)

        monkeypatch.setattr(CachedTextUNet, "__call__", limited)
        images = drawn(sampling, model, 4)
        assert (batches[:4], set(batches[2:]), model.first.chunk) == ([8, 4, 2, 2], {2}, 2)
        for image, one in zip(images, expected, strict=True):
            torch.testing.assert_close(image.cpu(), one, rtol=0, atol=0.02)  # float16, in other batches


@EACH
def test_one_image_that_does_not_fit_is_one_line(folder, embeddings, gpu, monkeypatch, error):
    def full(*_):
        raise error

    model = loaded(folder, embeddings)
    monkeypatch.setattr(CachedTextUNet, "__call__", full)
    with pytest.raises(ModelError, match=r"^stage 1: one image does not fit in this GPU's memory$"):
        drawn(sampling, model, 2)


def test_another_error_is_not_taken_for_a_lack_of_memory(folder, embeddings, gpu, monkeypatch):
    def broken(*_):
        raise RuntimeError("Expected all tensors to be on the same device")

    model = loaded(folder, embeddings)
    monkeypatch.setattr(CachedTextUNet, "__call__", broken)
    with pytest.raises(RuntimeError, match=r"^Expected all tensors"):
        drawn(sampling, model)


@EACH
def test_weights_that_do_not_fit_are_one_line_and_read_once(folder, embeddings, gpu, monkeypatch, error):
    asked = []

    def full(self, name):
        asked.append(name)
        if len(asked) > 3:
            raise error
        return usual(self, name)

    usual = disk.Tensors.__getitem__
    model = loaded(folder, embeddings, IN_TURN)
    monkeypatch.setattr(disk.Tensors, "__getitem__", full)
    told = "^not enough GPU memory for the weights of stage_1; close other programs that use it, then run the same"
    with pytest.raises(ModelError, match=told):
        drawn(sampling, model, 4)
    assert len(asked) == len(set(asked)) == 4
    asked.clear()
    with pytest.raises(ModelError, match=told):
        loaded(folder, embeddings, HELD)
    asked.clear()
    with pytest.raises(ModelError, match=r"^not enough GPU memory for a layer of T5; close"):
        encode(["a cat"], embeddings, folder / "stage_1", CUDA)


@EACH
def test_an_image_that_cannot_be_decoded_whole_is_decoded_in_tiles(folder, embeddings, gpu, float32, error):
    model = loaded(folder, embeddings)
    expected = third(model)
    del model.third
    vae = model.third.pipeline.vae
    vae.tile_latent_min_size, vae.tile_sample_min_size = 8, 32  # so that the tiny image has several
    usual, sides = vae.decoder.forward, []

    def limited(latents, *more):
        sides.append(latents.shape[-1])
        if latents.shape[-1] > 8:
            raise error
        return usual(latents, *more)

    vae.decoder.forward = limited
    image = third(model)
    assert sides[0] == 16
    assert max(sides[1:]) == 8
    assert (image - expected).abs().mean() < 0.05
    assert model.settings["stage 3 decodes"] == "in tiles, for lack of memory"
    sides.clear()
    third(model)
    assert max(sides) == 8  # at once


def test_tiles_that_were_planned_are_used_and_told(folder, embeddings, gpu):
    model = loaded(folder, embeddings)
    model.spots = {stage: spot._replace(tiles=True) for stage, spot in model.spots.items()}
    assert "stage 3 decodes" not in model.settings
    third(model)
    assert model.third.pipeline.vae.use_tiling
    assert model.settings["stage 3 decodes"] == "in tiles, for lack of memory"


# --- the report's own sections


@pytest.fixture(scope="module")
def calm(tmp_path_factory):
    return tiny_if.save(tmp_path_factory.mktemp("calm"), size=64, later=True)


@pytest.mark.parametrize("key", ["1.4", "1.5", "1.6", "1.7", "1.7.1", "1.7.2", "1.7.3", "1.8", "1.9", "1.10"])
def test_every_section_that_samples_is_drawn_on_a_gpu(calm, gpu, tmp_path, monkeypatch, key):
    """With few steps. Anagrams of 256 pixels go through stage 2."""
    monkeypatch.setattr(lab, "strided", lambda stride=30, i_start=0: strided(stride, i_start)[:: 34 // 3])
    monkeypatch.setattr(SecondStage, "steps", 2)
    declared = load_section(key)
    kept = Embeddings(calm / "embeddings", "tiny")
    encode(kept.missing(workload([declared], 2).prompts), kept, calm / "stage_1", CPU)
    model = loaded(calm, kept, chunk=32)
    record = Session(model, Observer()).draw(declared, tmp_path / key, {}, source="its definitions")
    assert record["device"] == "cuda"
    assert record["dtype"] == "float16"
    assert record["evaluations"] > 0


# --- what the plan says of memory, at the real sizes


def planned(stage, size, chunk, tiles=False):
    """What the plan takes for activations, without kernels' workspace, which is not counted here."""
    return machine._activations(stage, size, Spot(CUDA, HELD, chunk, tiles)) - machine.WORKSPACE["cuda"]


class Anything:
    """Weights of any name, of the shapes that a network expects."""

    def __init__(self, net):
        self.like = dict(net.named_parameters())

    def __getitem__(self, name):
        return torch.empty(self.like[name].shape, dtype=self.like[name].dtype)


def meta(make, dtype=torch.float16):
    with torch.device("meta"):
        return torch.nn.Module.to(make(), dtype).eval()


def forward_peak(make, images, channels, side, width):
    """The bytes of one forward of a UNet, as the cascade calls it, without its weights."""
    net = meta(make)

    def build():
        disk.load_weights(net, Anything(net), stand_in_cuda.CUDA)
        with stand_in_cuda.CUDA:
            long = torch.empty(images, dtype=torch.long)
            return torch.empty(images, channels, side, side), long, torch.empty(images, 77, width, dtype=torch.float16)

    def call(inputs):
        x, t, states = inputs
        answer = net(x.half(), t, encoder_hidden_states=states, class_labels=t, return_dict=False)[0]
        answer.to(x.dtype)

    return 2 * sum(parameter.numel() for parameter in net.parameters()), stand_in_cuda.peak(build, call)


@pytest.mark.parametrize("name", ["I-M", "I-XL"])
def test_stage_1_takes_at_most_what_the_plan_says(name):
    size, peak = forward_peak(lambda: first(CONFIGURATIONS[name]), 32, 3, 64, 4096)
    assert 0.6 * planned("stage_1", size, 32) < peak < planned("stage_1", size, 32)


def test_stage_2_takes_at_most_what_the_plan_says():
    size, peak = forward_peak(second, 8, 6, 256, 4096)
    assert 0.6 * planned("stage_2", size, 8) < peak < planned("stage_2", size, 8)


def test_stage_3_takes_at_most_what_the_plan_says():
    _, unet = forward_peak(lambda: upscaler()["unet"], 2, 7, 256, 1024)
    vae = meta(lambda: upscaler()["vae"], torch.float32)
    upcast = 2 * sum(parameter.numel() for parameter in vae.parameters())  # float16 is what the plan counts as weights

    def build():
        disk.load_weights(vae, Anything(vae), stand_in_cuda.CUDA)
        return torch.empty(1, 4, 256, 256, device=stand_in_cuda.CUDA)

    decoders = []
    for tiles in (False, True):
        vae.use_tiling = tiles
        decoders.append(upcast + stand_in_cuda.peak(build, lambda latents: vae.decode(latents, return_dict=False)))
    whole, tiled = (planned("stage_3", 1.75e9, 1, tiles) for tiles in (False, True))
    assert 0.6 * whole < max(unet, decoders[0]) < whole
    assert 0.6 * tiled < max(unet, decoders[1]) < tiled


# --- the script for a lent GPU


def test_the_bench_for_a_gpu_fills_its_tables(tmp_path, monkeypatch, tiny_pocket):
    tiny = Configuration("tiny", (4, 32), layers=1, head=32, text=16, text_heads=2, groups=4)
    for name in ("I-M", "I-XL"):
        monkeypatch.setitem(CONFIGURATIONS, name, tiny)
    shutil.copytree(tiny_pocket, tmp_path / "pocket")
    shutil.copy(bench.SHIPPED / "model_index.json", tmp_path / "pocket")
    monkeypatch.setattr(bench, "SHIPPED", tmp_path / "pocket")
    monkeypatch.setattr(bench, "FORWARDS", 1)
    monkeypatch.setattr(bench, "CHUNK", {"stage_1": 2})
    monkeypatch.setattr(bench.pocket, "__defaults__", (64, 300))
    page = tmp_path / "benchmarks.md"
    shutil.copy(Path(__file__).parents[1] / "report" / "benchmarks.md", page)
    stubs = {"reset_peak_memory_stats": lambda *_: None, "max_memory_allocated": lambda *_: 2**30}
    with stand_in_cuda.gpu(**stubs), torch.no_grad():
        bench.main(["--write", str(page)], standalone_mode=False)
    text = page.read_text()
    assert text.count(f"| {HELD} | yes | no |") == 2
    assert text.count(f"| {BY_LAYER} | yes | no |") == 2
    assert f"| {stand_in_cuda.NAME} |" in text
    assert text.count("Not measured") == 2  # by `make bench`

"""Getting DeepFloyd ready: the plan, the text, fetching, and every line with which it refuses. The weights are tiny and
random, saved by diffusers; the Hub is a server on this machine."""

import gc
import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import hub_fixture
import pytest
import tiny_if
import torch
from click.testing import CliRunner
from diffusers import AutoencoderKL
from huggingface_hub import constants
from safetensors.torch import load_file, save_file
from transformers import T5EncoderModel

from generators import models
from generators.models import Workload
from generators.models.deepfloyd import disk, machine, plan, weights
from generators.models.deepfloyd.cascade import BY_LAYER, HELD, IN_TURN
from generators.models.deepfloyd.machine import GB, Machine, placement, text_device, to_read
from generators.records.errors import ModelError
from report.command import cli

SMALL = Workload(("", "a dog"), 40, 0, 0)
ALL = Workload(("", "a dog"), 40, 20, 1)
FIRST, SECOND, THIRD = (weights.repositories("deepfloyd")[stage] for stage in weights.STAGES)
H100 = Machine("H100", 80 * GB, 100 * GB, 3e14)
PROCESSOR = Machine("", 0, 20 * GB, 1e11)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    return tiny_if.save(tmp_path_factory.mktemp("saved"), size=64, later=True)


@pytest.fixture(scope="module")
def halves(tmp_path_factory):
    """The same in fp16, as the real repositories are."""
    return tiny_if.save(tmp_path_factory.mktemp("halves"), size=64, later=True, variant="fp16")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setattr(weights, "CACHE", tmp_path / "cache")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    for name in ("DEEPFLOYD_WEIGHTS", "DEEPFLOYD_EMBEDDINGS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_TOKEN", "hf_a_token_of_no_account")
    return tmp_path / "cache"


@pytest.fixture(autouse=True)
def measured_once(monkeypatch, sizes):
    """Plans take this machine's rate as known, and count the operations of each configuration once."""
    monkeypatch.setattr(machine, "matmul_rate", lambda *_: 1e11)
    monkeypatch.setattr(plan, "unet_size", sizes)


@pytest.fixture(scope="module")
def sizes():
    found = {}

    def size(config, side=None):
        key = json.dumps([config, side], sort_keys=True)
        if key not in found:
            found[key] = machine.unet_size(config, side)
        return found[key]

    return size


@pytest.fixture
def own(saved, tmp_path, monkeypatch):
    """A copy of the saved cascade, to be damaged, as DEEPFLOYD_WEIGHTS."""
    shutil.copytree(saved, tmp_path / "own")
    monkeypatch.setenv("DEEPFLOYD_WEIGHTS", str(tmp_path / "own"))
    return tmp_path / "own"


@pytest.fixture
def hub(halves, monkeypatch):
    set_machine(monkeypatch, PROCESSOR._replace(ram=200 * GB))
    with hub_fixture.serving() as found:
        monkeypatch.setattr(constants, "ENDPOINT", found.address)
        monkeypatch.setattr(
            constants, "HUGGINGFACE_CO_URL_TEMPLATE", found.address + "/{repo_id}/resolve/{revision}/{filename}"
        )
        for stage, repository in weights.repositories("deepfloyd").items():
            found.repositories[repository.id] = halves / stage, {repository.commit}
        found.repositories["DeepFloyd/IF-I-M-v1.0"] = halves / "stage_1", {hub_fixture.COMMIT, "f" * 40}
        yield found


def prepare(work=SMALL, name="deepfloyd"):
    """Prepare for this work, and give the lines that were told."""
    told = []
    models.prepare(name, lambda steps, guided: work, told.append)
    return told


def refusal(work=SMALL, name="deepfloyd"):
    """The one line with which preparing is refused; the doctor must say it too, and neither may raise another error."""
    with pytest.raises(ModelError) as caught:
        prepare(work, name)
    assert "\n" not in str(caught.value)
    _, refusals = models.plan(name, lambda steps, guided: work)
    assert str(caught.value) in refusals
    return str(caught.value)


# --- a folder of one's own


def test_the_plan_is_told_first_and_says_what_will_be_done(own):
    told = prepare(ALL)
    terms = [line.split()[1] for line in told]
    assert terms == [
        "prompts", "memory", *weights.STAGES, "work", "time", "reading", *weights.STAGES, "disk", "encoding", "encoding"
    ]  # fmt: skip
    assert "2 of 2 to encode, by T5 in float32 on the processor, layer by layer" in told[0]
    assert "on the processor, in float32, read once, 32 images a forward at most" in told[2]
    assert "40 evaluations of stage 1, 20 of stage 2, 1 images of stage 3" in told[5]
    assert "GB/s of this disk measured just now" in told[7]


def test_only_the_stages_that_are_asked_for_are_needed(own, monkeypatch):
    set_machine(monkeypatch, PROCESSOR)
    shutil.rmtree(own / "stage_2")
    shutil.rmtree(own / "stage_3")
    prepare(SMALL)
    assert "stage_2/ is missing (stage_2); save DeepFloyd/IF-II-L-v1.0 there with diffusers" in refusal(ALL)


def test_prompts_are_encoded_once_and_the_text_encoder_is_gone_afterwards(own):
    assert len([line for line in prepare() if "encoding" in line]) == 2
    gc.collect()
    assert not [thing for thing in gc.get_objects() if type(thing) is T5EncoderModel]
    again = prepare()
    assert "2, all encoded already" in again[0]
    assert not [line for line in again if "encoding" in line]
    more = prepare(SMALL._replace(prompts=("", "a dog", "a cat")))
    assert [line for line in more if "encoding" in line] == ["deepfloyd: encoding  “a cat”"]


def test_another_text_encoder_makes_other_embeddings(own, tmp_path):
    prepare()
    other = tiny_if.save(tmp_path / "other", seed=1, size=64)
    shutil.rmtree(own / "stage_1" / "text_encoder")
    shutil.copytree(other / "stage_1" / "text_encoder", own / "stage_1" / "text_encoder")
    assert len([line for line in prepare() if "encoding" in line]) == 2


def test_the_model_draws_what_it_was_prepared_for_and_says_how_it_was_set_up(own):
    prepare(ALL)
    model = models.load("deepfloyd")
    with torch.inference_mode():
        middle = model.enlarge(model.blank(), "a dog", torch.Generator().manual_seed(1))
        large = model.enlarge(middle[:, :16, :16], "a dog", torch.Generator().manual_seed(1))
    assert (middle.shape, large.shape) == ((3, 256, 256), (3, 64, 64))
    assert max(middle.abs().max(), large.abs().max()) <= 1
    assert model.settings == {
        "stage 1": "a local folder, full files",
        "stage 2": "a local folder, full files",
        "stage 3": "a local folder, full files",
        "text encoder": "T5 in float32, clean_caption=False",
        "stage 2 samples": "50 steps, guidance 4, noise level 250",
        "safety checker": "not loaded",
        "watermarker": "not applied",
    }
    assert model.digest == models.digest("deepfloyd")


def test_files_in_fp16_are_found_and_loaded(halves, own, monkeypatch):
    monkeypatch.setenv("DEEPFLOYD_WEIGHTS", str(halves))
    assert "stage_1  a local folder, present, in fp16" in prepare()[6]
    model = models.load("deepfloyd")
    assert model.settings["stage 1"] == "a local folder, fp16 files"
    assert model.dtype == torch.float32  # on a processor


def test_without_being_prepared_it_does_not_draw(own):
    with pytest.raises(ModelError, match="the prompt “a dog” has no embedding; prepare the model with it"):
        models.load("deepfloyd").noise("a dog")(torch.zeros(3, 64, 64), 500)


def test_a_damaged_embedding_is_refused(own, cache):
    prepare()
    for path in (cache / "embeddings").iterdir():
        path.write_bytes(b"\0" * 20)
    with pytest.raises(ModelError, match=r"is damaged; remove it and run the same command again"):
        models.load("deepfloyd").noise("a dog")(torch.zeros(3, 64, 64), 500)


@pytest.mark.parametrize(
    ("value", "told"), [(torch.nan, "holds NaN or infinity"), (3, "holds int64, not floating-point numbers")]
)
def test_an_embedding_that_is_none_is_refused_when_it_is_read(own, cache, value, told):
    prepare()
    for path in (cache / "embeddings").iterdir():
        save_file({"embedding": torch.full((1, 77, tiny_if.WIDTH), value)}, path)
    with pytest.raises(ModelError, match=rf"safetensors: the embedding {told}; remove it and run the same command"):
        models.load("deepfloyd").noise("a dog")(torch.zeros(3, 64, 64), 500)


def test_an_embedding_that_is_none_is_not_stored(own, cache):
    save_file({name: tensor * torch.nan for name, tensor in load_file(own / T5).items()}, own / T5)
    with pytest.raises(ModelError, match=r"T5's embedding of “” holds NaN or infinity; its weights are wrong"):
        prepare()
    assert not (cache / "embeddings").exists()


def test_the_home_folder_is_known_in_both_variables(own, handed, monkeypatch):
    path = handed(embedded("", "a dog"))
    before = models.digest("deepfloyd")
    monkeypatch.setenv("HOME", str(own.parent))
    monkeypatch.setenv("DEEPFLOYD_WEIGHTS", "~/own")
    monkeypatch.setenv("DEEPFLOYD_EMBEDDINGS", f"~/{path.name}")
    assert models.folder("deepfloyd") == own
    assert models.digest("deepfloyd") == before
    assert f"2, their embeddings from {path}" in prepare()[0]
    monkeypatch.setenv("POCKET_WEIGHTS", "~/own")
    assert models.folder("pocket") == own
    monkeypatch.setenv("POCKET_WEIGHTS", "~nobody_of_this_name/own")
    with pytest.raises(ModelError, match=r"no weights .* in ~nobody_of_this_name/own"):
        models.folder("pocket")


def test_the_digest_follows_the_files_and_reads_each_only_once(own, cache, monkeypatch):
    first = models.digest("deepfloyd")
    monkeypatch.setattr("hashlib.file_digest", lambda *_: pytest.fail("a file was read again"))
    assert models.digest("deepfloyd") == first
    monkeypatch.undo()
    monkeypatch.setenv("DEEPFLOYD_WEIGHTS", str(own))
    monkeypatch.setattr(weights, "CACHE", cache)
    config = own / "stage_1" / "unet" / "config.json"
    config.write_text(config.read_text() + " ")
    assert models.digest("deepfloyd") != first


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def sharded(path: Path) -> None:
    """As a model in two shards, of which the second never came."""
    path.rename(path.with_name("model-00001-of-00002.safetensors"))
    index = {"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}
    (path.parent / "model.safetensors.index.json").write_text(json.dumps(index))


UNET, T5 = "stage_1/unet/diffusion_pytorch_model.safetensors", "stage_1/text_encoder/model.safetensors"
DAMAGE = {
    "no stage 1": (lambda own: shutil.rmtree(own / "stage_1"), "has no stage_1/; save DeepFloyd/IF-I-XL-v1.0 there"),
    "no weights of the UNet": (lambda own: (own / UNET).unlink(), "unet/ has no *.safetensors (stage_1); save Deep"),
    "no tokenizer": (lambda own: shutil.rmtree(own / "stage_1/tokenizer"), "tokenizer/ is missing (stage_1)"),
    "half a UNet": (lambda own: cut(own / UNET), "diffusion_pytorch_model.safetensors is incomplete: "),
    "half a text encoder": (lambda own: cut(own / T5), "text_encoder/model.safetensors is incomplete: "),
    "no header": (lambda own: (own / UNET).write_bytes(b"\1" * 99), "is damaged: 99 bytes without a header; remove"),
    "a shard is missing": (lambda own: sharded(own / T5), "model-00002-of-00002.safetensors is missing (stage_1)"),
    "only a pickle": (
        lambda own: (own / UNET).rename((own / UNET).with_suffix(".bin")),
        "unet/ has no *.safetensors, only diffusion_pytorch_model.bin, a pickle, which can execute code and is not",
    ),
    "weights of another name": (
        lambda own: (own / UNET).rename((own / UNET).with_name("unet.safetensors")),
        "unet/ has no diffusion_pytorch_model.safetensors, the name that is loaded (stage_1)",
    ),
    "an index that is cut": (
        lambda own: ((own / T5).parent / "model.safetensors.index.json").write_text('{"weight_map": {'),
        "text_encoder/model.safetensors.index.json is damaged: it is not JSON; remove the file",
    ),
    "an index of nothing": (
        lambda own: ((own / T5).parent / "model.safetensors.index.json").write_text("{}"),
        "text_encoder/model.safetensors.index.json is damaged: it names no shards",
    ),
    "an index of files elsewhere": (
        lambda own: ((own / T5).parent / "model.safetensors.index.json").write_text(
            '{"weight_map": {"a": "../../x.safetensors"}}'
        ),
        "index.json names ../../x.safetensors, which is not a *.safetensors beside it",
    ),
    "a link to nothing": (
        lambda own: ((own / UNET).unlink(), (own / UNET).symlink_to("gone")),
        "unet/diffusion_pytorch_model.safetensors is a link to gone, which is gone (stage_1); save",
    ),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damaged_weights_are_refused_in_one_line_that_says_where(own, name):
    damage, told = DAMAGE[name]
    damage(own)
    with pytest.raises(ModelError) as caught:
        prepare()
    assert told in str(caught.value)
    assert str(caught.value).startswith(f"deepfloyd: {own}")
    assert "\n" not in str(caught.value)


def with_type(path: Path, dtype: str, tensor: str = "") -> None:
    """Gives a tensor of this file, or the first, another type in the header."""
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    first = next(name for name in header if name != "__metadata__")
    header[tensor or first]["dtype"] = dtype
    changed = json.dumps(header).encode()
    path.write_bytes(len(changed).to_bytes(8, "little") + changed + data[8 + length :])


FAULTS = {
    "no configuration of T5": (
        lambda own: (own / "stage_1/text_encoder/config.json").unlink(),
        "own: text_encoder/config.json is missing (stage_1); save DeepFloyd/IF-I-XL-v1.0 there with diffusers",
    ),
    "no configuration of a UNet": (
        lambda own: (own / "stage_2/unet/config.json").unlink(),
        "own: unet/config.json is missing (stage_2); save",
    ),
    "no configuration of the autoencoder": (
        lambda own: (own / "stage_3/vae/config.json").unlink(),
        "own: vae/config.json is missing (stage_3); save",
    ),
    "no schedule": (
        lambda own: (own / "stage_2/image_noising_scheduler/scheduler_config.json").unlink(),
        "own: image_noising_scheduler/scheduler_config.json is missing (stage_2); save",
    ),
    "half a configuration": (
        lambda own: (own / "stage_1/unet/config.json").write_text('{"sample_size": '),
        "stage_1/unet/config.json is damaged: it is not JSON; remove the file and fetch it again",
    ),
    "an empty configuration": (
        lambda own: (own / "stage_1/text_encoder/config.json").write_text(""),
        "stage_1/text_encoder/config.json is empty; remove the file and fetch it again",
    ),
    "a list for a schedule": (
        lambda own: (own / "stage_1/scheduler/scheduler_config.json").write_text("[]"),
        "stage_1/scheduler/scheduler_config.json is damaged: it is not a JSON object; remove the file",
    ),
    "a configuration of nothing": (
        lambda own: (own / "stage_1/unet/config.json").write_text("{}"),
        "stage_1/unet/config.json does not describe a UNet of stage_1 (",
    ),
    "a link to no configuration": (
        lambda own: (
            (own / "stage_1/unet/config.json").unlink(),
            (own / "stage_1/unet/config.json").symlink_to("../x"),
        ),
        "own: unet/config.json is a link to ../x, which is gone (stage_1); save",
    ),
    "four bits": (
        lambda own: with_type(own / UNET, "F4"),
        "in F4, which is not supported; save the weights in F16 or BF16 or F32 or F64",
    ),
    "eight bits": (
        lambda own: with_type(own / T5, "F8_E4M3"),
        "in F8_E4M3, which is not supported; save the weights in",
    ),
    "integers": (
        lambda own: with_type(own / "stage_3/vae/diffusion_pytorch_model.safetensors", "I32"),
        "in I32, which is not supported; save the weights in",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_is_named_by_the_doctor_already(own, name):
    damage, told = FAULTS[name]
    damage(own)
    said = refusal(ALL)
    assert told in said
    assert str(own) in said


def configured(path: Path, **values) -> None:
    """Changes values of a configuration."""
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


VALUES = {
    "stage_1/scheduler/scheduler_config.json": {"dynamic_thresholding_ratio": "high"},
    "stage_2/scheduler/scheduler_config.json": {"beta_schedule": 3},
    "stage_2/image_noising_scheduler/scheduler_config.json": {"beta_schedule": "linear", "beta_start": "x"},
    "stage_3/low_res_scheduler/scheduler_config.json": {"num_train_timesteps": 500},
    "stage_3/scheduler/scheduler_config.json": {"prediction_type": "velocity"},
    "stage_1/unet/config.json": {"cross_attention_norm": "batch"},
    "stage_2/unet/config.json": {"block_out_channels": [5, 5]},
    "stage_3/unet/config.json": {"down_block_types": ["DownBlock"]},
    "stage_1/text_encoder/config.json": {"d_model": "wide"},
    "stage_3/text_encoder/config.json": {"num_attention_heads": 3},
    "stage_3/vae/config.json": {"norm_num_groups": 3},
}
OF_THE_VAE = [{"scaling_factor": None}, {"scaling_factor": 0}, {"act_fn": "none"}, {"up_block_types": ["UpBlock"]}]


@pytest.mark.parametrize(
    ("name", "values"), [*VALUES.items(), *(("stage_3/vae/config.json", one) for one in OF_THE_VAE)]
)
def test_a_value_that_describes_nothing_is_named_by_the_doctor_already(own, name, values):
    configured(own / name, **values)
    said = refusal(ALL)
    assert str(own / name) in said
    assert "fetch" in said
    assert len(models.plan("deepfloyd", lambda steps, guided: ALL)[1]) == 1  # one line for one mistake


TENSORS = [(stage, name) for stage, names in weights.STAGES.items() for name in names if name in weights.WITH_WEIGHTS]
TENSORS.append(("stage_1", "text_encoder"))


@pytest.mark.parametrize("fault", ["missing", "shape"])
@pytest.mark.parametrize(("stage", "component"), TENSORS)
def test_weights_that_do_not_fit_are_named_by_the_doctor_already(own, stage, component, fault):
    (path,) = (own / stage / component).glob("*.safetensors")
    found = load_file(path)
    name = sorted(found)[-1]
    del found[name]
    if fault == "shape":
        found[name] = torch.zeros(5, 5)
    save_file(found, path)
    said = refusal(ALL)
    assert str(path.parent) in said
    assert name.removeprefix("text_model.") in said
    assert ("the weights lack" if fault == "missing" else "is (5, 5) in the weights and (") in said


def test_a_stage_in_the_place_of_another_is_named(own):
    shutil.rmtree(own / "stage_2/unet")
    shutil.copytree(own / "stage_1/unet", own / "stage_2/unet")
    assert "stage_2/unet/config.json is of a UNet from 3 channels to 6; stage_2 takes 6 channels to 6" in refusal(ALL)


def test_shards_of_the_autoencoder_need_no_metadata_and_may_be_old(own):
    """diffusers' index has metadata, which files from elsewhere lack; attention was once named otherwise."""
    configured(own / "stage_3/vae/config.json", mid_block_add_attention=True)
    config = AutoencoderKL.load_config(own / "stage_3/vae")
    with torch.random.fork_rng():
        vae = AutoencoderKL.from_config(config)
    found = {}
    for name, tensor in vae.state_dict().items():
        for new, old in (("to_q", "query"), ("to_k", "key"), ("to_v", "value"), ("to_out.0", "proj_attn")):
            name = name.replace(f"attentions.0.{new}.", f"attentions.0.{old}.")
        found[name] = tensor
    assert any(".query." in name for name in found)
    (path,) = (own / "stage_3/vae").glob("*.safetensors")
    save_file(found, path)
    in_shards(path)
    index = path.with_name("diffusion_pytorch_model.safetensors.index.json")
    index.write_text(json.dumps({"weight_map": json.loads(index.read_text())["weight_map"]}))
    prepare(ALL)
    assert same(models.load("deepfloyd").third.pipeline.vae.state_dict(), vae.state_dict())


POCKET = {
    "half a network": (
        lambda pocket: cut(next((pocket / "stage_2").glob("*.safetensors"))),
        "stage_2/diffusion_pytorch_model.safetensors is incomplete",
    ),
    "no header": (
        lambda pocket: next((pocket / "transformer").glob("*.safetensors")).write_bytes(b"x"),
        "transformer/diffusion_pytorch_model.safetensors is damaged",
    ),
    "half a configuration": (
        lambda pocket: (pocket / "stage_3/config.json").write_text("{"),
        "stage_3/config.json is damaged: it is not JSON",
    ),
    "a value of a network": (
        lambda pocket: configured(pocket / "stage_2/config.json", norm_num_groups=7),
        "stage_2/config.json describes no network (",
    ),
    "a value of the schedule": (
        lambda pocket: configured(pocket / "scheduler/scheduler_config.json", beta_schedule="steep"),
        "scheduler/scheduler_config.json describes no schedule (",
    ),
    "another network": (
        lambda pocket: configured(pocket / "transformer/config.json", num_single_layers=2),
        "transformer: the weights lack single_transformer_blocks.",
    ),
    "another shape": (
        lambda pocket: configured(pocket / "stage_3/config.json", block_out_channels=[8, 24]),
        "by config.json; fetch both again",
    ),
}


@pytest.mark.parametrize("name", POCKET)
def test_pockets_damaged_files_are_named_by_the_doctor_already(tiny_pocket, tmp_path, monkeypatch, name):
    shutil.copytree(tiny_pocket, tmp_path / "pocket")
    monkeypatch.setenv("POCKET_WEIGHTS", str(tmp_path / "pocket"))
    assert models.plan("pocket", lambda steps, guided: SMALL)[1] == []
    damage, told = POCKET[name]
    damage(tmp_path / "pocket")
    (said,) = models.plan("pocket", lambda steps, guided: SMALL)[1]
    assert told in said
    assert said.startswith("pocket: the weights in ")
    assert "restore them with `git checkout" in said
    assert "\n" not in said
    with pytest.raises(ModelError) as caught:
        models.load("pocket")
    assert str(caught.value) == said


def test_the_positions_that_older_text_encoders_saved_are_no_weights(own):
    (path,) = (own / "stage_3/text_encoder").glob("*.safetensors")
    save_file({**load_file(path), "text_model.embeddings.position_ids": torch.arange(77)[None]}, path)
    prepare(ALL)
    models.load("deepfloyd").third.texts("a dog")


@pytest.mark.parametrize("component", ["unet", "text_encoder"])
def test_weights_of_another_shape_are_refused(own, component):
    (path,) = (own / "stage_1" / component).glob("*.safetensors")
    found = load_file(path)
    name = min(found)
    save_file({**found, name: torch.zeros(5, 5)}, path)
    told = rf"stage_1/{component}: \S+ is \(5, 5\) in the weights and \(.*\) by config.json; fetch both again"
    work = prepare if component == "text_encoder" else lambda: models.load("deepfloyd")
    with pytest.raises(ModelError, match=told):
        work()


def test_a_configuration_of_no_text_encoder_is_refused(own):
    (own / "stage_1/text_encoder/config.json").write_text('{"d_model": "wide"}')
    with pytest.raises(ModelError, match=r"text_encoder/config.json describes no network \(.*\); remove the file"):
        prepare()


OWN_ERRORS = [TypeError("ours"), KeyError("ours"), AttributeError("ours"), ValueError("ours"), IndexError("ours")]


@pytest.mark.parametrize("error", OWN_ERRORS)
@pytest.mark.parametrize("where", ["plan", "prepare", "load"])
def test_the_programs_own_errors_are_not_called_bad_weights(own, monkeypatch, error, where):
    prepare()

    def wrong(*_):
        raise error

    monkeypatch.setattr(plan, "placement", wrong)
    work = {
        "plan": lambda: models.plan("deepfloyd", lambda steps, guided: SMALL),
        "prepare": prepare,
        "load": lambda: models.load("deepfloyd"),
    }
    with pytest.raises(type(error), match="ours"):
        work[where]()


def test_a_wrong_call_is_not_called_bad_weights(own, monkeypatch):
    monkeypatch.setattr(plan, "placement", lambda one: one)
    with pytest.raises(TypeError, match="positional argument"):
        models.load("deepfloyd")


def test_an_error_of_the_dry_run_is_not_called_bad_weights(own):
    def wrong(steps, guided):
        return {}["a prompt"]

    with pytest.raises(KeyError, match="a prompt"):
        models.plan("deepfloyd", wrong)
    with pytest.raises(KeyError, match="a prompt"):
        models.prepare("deepfloyd", wrong, print)


def test_a_schedule_that_was_spoilt_since_is_refused_when_it_is_loaded(own):
    prepare()
    (own / "stage_1/scheduler/scheduler_config.json").write_text('{"beta_schedule": 3}')
    with pytest.raises(
        ModelError, match=r"scheduler_config\.json describes no schedule \(.*\); remove the file"
    ) as caught:
        models.load("deepfloyd")
    assert "\n" not in str(caught.value)


# --- what a tokenizer needs


def spoilt(path: Path) -> None:
    path.write_bytes(b"no tokenizer")


def with_vocabulary(own: Path) -> Path:
    """Saves stage 3's tokenizer as the real one is, without tokenizer.json."""
    folder = own / "stage_3/tokenizer"
    found = json.loads((folder / "tokenizer.json").read_text())["model"]["vocab"]
    (folder / "tokenizer.json").unlink()
    (folder / "vocab.json").write_text(json.dumps(found))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    return folder


PIECES, CLIP = "stage_1/tokenizer/spiece.model", "stage_3/tokenizer/tokenizer.json"
TOKENIZERS = {
    "no pieces": (
        lambda own: (own / PIECES).unlink(),
        "tokenizer/ has neither spiece.model nor tokenizer.json (stage_1)",
    ),
    "empty pieces": (
        lambda own: (own / PIECES).write_bytes(b""),
        "spiece.model is empty; remove the file and fetch it",
    ),
    "spoilt pieces": (
        lambda own: spoilt(own / PIECES),
        "the tokenizer (spiece.model, tokenizer_config.json) is damaged",
    ),
    "pieces behind a link to nothing": (
        lambda own: ((own / PIECES).unlink(), (own / PIECES).symlink_to("gone")),
        "tokenizer/spiece.model is a link to gone, which is gone (stage_1)",
    ),
    "an empty tokenizer.json beside pieces": (
        lambda own: (own / PIECES).with_name("tokenizer.json").write_bytes(b""),
        "tokenizer/tokenizer.json is empty; remove the file",
    ),
    "no CLIP": (
        lambda own: (own / CLIP).unlink(),
        "tokenizer/ has neither vocab.json with merges.txt nor tokenizer.json (stage_3)",
    ),
    "no merges": (
        lambda own: (with_vocabulary(own) / "merges.txt").unlink(),
        "tokenizer/ has neither vocab.json with merges.txt nor tokenizer.json (stage_3)",
    ),
    "no vocabulary": (
        lambda own: (with_vocabulary(own) / "vocab.json").unlink(),
        "tokenizer/ has neither vocab.json with merges.txt nor tokenizer.json (stage_3)",
    ),
    "a spoilt vocabulary": (
        lambda own: spoilt(with_vocabulary(own) / "vocab.json"),
        "tokenizer/vocab.json is damaged: it is not JSON; remove the file",
    ),
    "a tokenizer.json of nothing": (
        lambda own: (own / CLIP).write_text("{}"),
        "stage_3/tokenizer: the tokenizer (tokenizer.json, tokenizer_config.json) is damaged",
    ),
}


@pytest.mark.parametrize("name", TOKENIZERS)
def test_what_a_tokenizer_needs_is_required_by_name(own, name):
    damage, told = TOKENIZERS[name]
    damage(own)
    assert told in refusal(ALL)


def test_a_tokenizer_of_vocabulary_and_merges_is_enough(own):
    with_vocabulary(own)
    prepare(ALL)
    texts, _ = models.load("deepfloyd").third.texts("a dog")
    assert not torch.equal(texts, models.load("deepfloyd").third.texts("a cat")[0])


def test_two_prompts_that_become_the_same_tokens_stop_the_run(own, cache):
    same = SMALL._replace(prompts=("", "a dog 1", "a cat", "a dog 2"))  # the tiny tokenizer knows no digits
    assert "stage_1/tokenizer: “a dog 1” and “a dog 2” become the same" in refusal(same)
    long = "a dog " * 40
    assert "become the same 77 tokens; fetch the tokenizer again" in refusal(
        SMALL._replace(prompts=(long + "a", long + "b"))
    )
    assert not (cache / "embeddings").exists()
    prepare(SMALL._replace(prompts=("", "a dog", "A Dog", " a  dog")))  # the same text


def test_prompts_of_one_embedding_stop_the_run_where_all_are_encoded_already(own):
    prompts = ("", "a dog", "a cat")
    prepare(SMALL._replace(prompts=prompts))
    kept = plan.t5_embeddings("deepfloyd", own)
    kept.write("a cat", kept.read("a dog"))
    assert "“a dog” and “a cat” have the same embedding; remove" in refusal(SMALL._replace(prompts=prompts))
    prepare(SMALL._replace(prompts=("", "a dog")))
    kept.write("A Dog", kept.read("a dog"))
    prepare(SMALL._replace(prompts=("", "a dog", "A Dog")))  # the same text
    kept.path("a dog").write_bytes(b"damaged")
    assert "is damaged; remove it and run the same command again" in refusal(SMALL._replace(prompts=prompts))


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_prompts_of_one_embedding_in_a_file_stop_the_run(own, handed, suffix):
    found = embedded("", "a dog", "a cat")
    path = handed({**found, "a cat": found["a dog"].clone()}, f"same.{suffix}")
    told = f"{path}: “a dog” and “a cat” have the same embedding; fetch the file again"
    assert told in refusal(SMALL._replace(prompts=("", "a dog", "a cat")))
    prepare()


def test_stage_3_keeps_prompts_apart_too(own):
    prepare()
    found = json.loads((own / CLIP).read_text())
    vocabulary = found["model"]["vocab"]
    for letter in "dogcat":
        for name in (letter, f"{letter}</w>"):
            vocabulary.pop(name, None)
    (own / CLIP).write_text(json.dumps(found))
    assert "stage_3/tokenizer: “a dog” and “a cat” become the same" in refusal(ALL._replace(prompts=("a dog", "a cat")))


def test_the_hubs_tokenizer_is_checked_once_it_is_fetched(hub, halves, tmp_path):
    shutil.copytree(halves / "stage_1", tmp_path / "other")
    hub.repositories[FIRST.id] = tmp_path / "other", {FIRST.commit}
    spoilt(tmp_path / "other/tokenizer/spiece.model")
    with pytest.raises(ModelError, match=r"^deepfloyd: \S+: the tokenizer .* is damaged .*fetch them again$"):
        prepare()
    assert refusal()  # and by the doctor from now on


# --- which files are loaded


def in_shards(path: Path, infix: str = "") -> None:
    """Saves the weights in this file as two shards and their index, as diffusers names them, and removes the file."""
    stem, tensors = path.name.split(".")[0], load_file(path)
    names, index = sorted(tensors), {}
    for k in range(2):
        shard = f"{stem}{infix}-0000{k + 1}-of-00002.safetensors"
        few = {name: tensors[name] for name in names[k::2]}
        save_file(few, path.with_name(shard))
        index |= dict.fromkeys(few, shard)
    content = json.dumps({"metadata": {}, "weight_map": index})
    path.with_name(f"{stem}.safetensors.index{infix}.json").write_text(content)
    path.unlink()


def stale(path: Path, name: str) -> Path:
    """Writes other weights of the same shapes under another name beside this file."""
    other = {key: torch.full_like(tensor, 7) for key, tensor in load_file(path).items()}
    save_file(other, path.with_name(name))
    return path.with_name(name)


def loaded(own: Path, stage: str, component: str) -> dict[str, torch.Tensor]:
    return dict(disk.Tensors(own / stage, component, torch.float32))


def same(one, other) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


STALE = {
    "an old file": ("stage_1", "unet", "diffusion_pytorch_model_old.safetensors", False),
    "a file sorted first": ("stage_2", "unet", "a.safetensors", False),
    "a copy": ("stage_3", "vae", "diffusion_pytorch_model (1).safetensors", False),
    "weights without EMA": ("stage_3", "unet", "diffusion_pytorch_model.non_ema.safetensors", False),
    "an old text encoder": ("stage_1", "text_encoder", "model_old.safetensors", False),
    "an old file beside shards": ("stage_1", "unet", "diffusion_pytorch_model.safetensors", True),
    "an old text encoder beside shards": ("stage_1", "text_encoder", "model.safetensors", True),
    "an old CLIP beside shards": ("stage_3", "text_encoder", "model.safetensors", True),
    "a shard of another set": ("stage_3", "vae", "diffusion_pytorch_model-00003-of-00003.safetensors", True),
}


@pytest.mark.parametrize("name", STALE)
def test_of_several_files_those_are_loaded_that_diffusers_loads(own, name):
    stage, component, other, shards = STALE[name]
    (path,) = (own / stage / component).glob("*.safetensors")
    before, kept = loaded(own, stage, component), path.read_bytes()
    if shards:
        in_shards(path)
    digest = models.digest("deepfloyd")
    copy = own / "copy.safetensors"
    copy.write_bytes(kept)
    stale(copy, "stale.safetensors").rename(path.with_name(other))
    assert same(loaded(own, stage, component), before)
    assert models.digest("deepfloyd") == digest  # what is not loaded does not count
    prepare(ALL)
    if component == "text_encoder" and stage == "stage_3":
        third = models.load("deepfloyd").third
        encoder = third._text_encoder()
        assert sorted(map(str, dict(encoder.state_dict()).values())) == sorted(map(str, before.values()))
        assert encoder.training is False
    if component == "vae":
        assert same(dict(models.load("deepfloyd").third.pipeline.vae.state_dict()), before)
    for read in (own / stage / component).glob("*.safetensors"):
        if read.name != other:
            stale(read, read.name)
    assert models.digest("deepfloyd") != digest


@pytest.mark.parametrize("what", ["", "stage_1", "stage_2", "stage_1/unet", UNET, "stage_1/tokenizer"])
def test_linked_folders_and_files_are_read_and_followed(own, tmp_path, monkeypatch, what):
    before = models.digest("deepfloyd")
    real = tmp_path / "real"
    (own / what).rename(real)
    (own / what).symlink_to(real)
    assert models.digest("deepfloyd") == before
    prepare(ALL)
    models.load("deepfloyd")
    behind = next(path for path in (real, *sorted(real.rglob("*"))) if path.is_file() and "index" not in path.name)
    behind.write_bytes(behind.read_bytes() + b" ")
    assert models.digest("deepfloyd") != before


def test_a_folder_of_links_alone_has_weights(saved, tmp_path, monkeypatch):
    for stage in weights.STAGES:
        (tmp_path / "links").mkdir(exist_ok=True)
        (tmp_path / "links" / stage).symlink_to(saved / stage)
    (tmp_path / "links" / "round").symlink_to(tmp_path / "links")
    monkeypatch.setenv("DEEPFLOYD_WEIGHTS", str(tmp_path / "links"))
    before = models.digest("deepfloyd")
    prepare(ALL)
    monkeypatch.setenv("DEEPFLOYD_WEIGHTS", str(saved))
    assert models.digest("deepfloyd") == before


def test_clips_weights_have_their_names_with_and_without_the_prefix_and_none_is_made_up(own):
    prepare(ALL)
    (path,) = (own / "stage_3/text_encoder").glob("*.safetensors")
    third, tensors = models.load("deepfloyd").third, load_file(path)
    plain = {name.removeprefix("text_model."): tensor for name, tensor in tensors.items()}
    save_file({f"text_model.{name}": tensor for name, tensor in plain.items()}, path)
    again = third._text_encoder().state_dict()
    assert same({name.removeprefix("text_model."): tensor for name, tensor in again.items()}, plain)
    save_file(dict(list(plain.items())[1:]), path)
    with pytest.raises(ModelError, match=r"stage_3/text_encoder: the weights lack \S+; fetch them again"):
        third._text_encoder()


UNREAD = [
    "stage_1/.DS_Store", "stage_1/unet/.DS_Store", ".gitattributes", "stage_1/README.md", "stage_1/unet/README.md",
    ".cache/huggingface/download/x.metadata", "stage_1/.cache/huggingface/.gitignore", "stage_1/unet/x.lock",
    "stage_1/model_index.json", "stage_1/unet/diffusion_pytorch_model.bin", "stage_1/safety_checker/config.json",
    "stage_2/text_encoder/model.safetensors", "stage_1/scheduler/config.json", "stage_1/tokenizer/notes.txt",
]  # fmt: skip
READ = [
    UNET, T5, "stage_1/unet/config.json", "stage_1/scheduler/scheduler_config.json", "stage_1/tokenizer/spiece.model",
    "stage_1/tokenizer/tokenizer_config.json", "stage_1/text_encoder/config.json",
    "stage_2/image_noising_scheduler/scheduler_config.json", "stage_3/low_res_scheduler/scheduler_config.json",
    "stage_3/vae/config.json", "stage_3/tokenizer/tokenizer.json",
]  # fmt: skip


def test_only_what_is_read_counts(own):
    before = models.digest("deepfloyd"), weights.encoder("deepfloyd", own)
    for name in UNREAD:
        (own / name).parent.mkdir(parents=True, exist_ok=True)
        with (own / name).open("ab") as file:
            file.write(b" ")
        assert (models.digest("deepfloyd"), weights.encoder("deepfloyd", own)) == before, name
    seen = {before[0]}
    for name in READ:
        assert (own / name).is_file(), name
        with (own / name).open("ab") as file:
            file.write(b" ")
        seen.add(models.digest("deepfloyd"))
    assert len(seen) == 1 + len(READ)


def test_the_text_encoder_does_not_count_where_embeddings_take_its_place(handed, own):
    handed(embedded("", "a dog"))
    before = models.digest("deepfloyd")
    shutil.rmtree(own / "stage_1" / "text_encoder")
    assert models.digest("deepfloyd") == before


def test_of_pockets_folder_only_what_is_read_counts(tmp_path, monkeypatch):
    shutil.copytree(models.SHIPPED, tmp_path / "pocket")
    monkeypatch.setenv("POCKET_WEIGHTS", str(tmp_path / "pocket"))
    before = models.digest("pocket")
    for name in (".DS_Store", "stage_2/README.md", ".cache/x.lock", ".gitattributes", "stage_3/x.safetensors"):
        (tmp_path / "pocket" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "pocket" / name).write_bytes(b"x")
        assert models.digest("pocket") == before, name
    (tmp_path / "pocket/stage_2").rename(tmp_path / "real")
    (tmp_path / "pocket/stage_2").symlink_to(tmp_path / "real")
    assert models.digest("pocket") == before
    for name in ("scheduler/scheduler_config.json", "stage_2/config.json", "transformer/config.json"):
        with (tmp_path / "pocket" / name).open("a") as file:
            file.write(" ")
        assert models.digest("pocket") != before, name
        before = models.digest("pocket")


def test_a_pickle_in_place_of_pockets_weights_is_not_read(tmp_path, monkeypatch):
    shutil.copytree(models.SHIPPED, tmp_path / "pocket")
    monkeypatch.setenv("POCKET_WEIGHTS", str(tmp_path / "pocket"))
    (path,) = (tmp_path / "pocket/stage_2").glob("*.safetensors")
    path.rename(path.with_suffix(".bin"))
    told = "stage_2/ has no *.safetensors, only diffusion_pytorch_model.bin, a pickle, which can execute code"
    with pytest.raises(ModelError) as caught:
        models.load("pocket")
    assert told in str(caught.value)
    assert models.plan("pocket", lambda steps, guided: ALL)[1] == [str(caught.value)]


MIXED = [("stage_1/unet",), ("stage_1/text_encoder",), ("stage_3/vae", "stage_3/text_encoder"), ("stage_3/unet",)]


@pytest.mark.parametrize("full", MIXED)
def test_each_component_has_its_own_variant(own, halves, full):
    """All others have fp16 alone."""
    for path in list(own.rglob("*.safetensors")):
        component = str(path.parent.relative_to(own))
        if component not in full:
            path.unlink()
            shutil.copy(halves / component / f"{path.stem}.fp16.safetensors", path.parent)
    told = prepare(ALL)
    stage, component = full[0].split("/")
    assert any(f"{component} full" in line for line in told if f" {stage} " in line)
    model = models.load("deepfloyd")
    with torch.inference_mode():
        assert torch.isfinite(model.noise("a dog")(torch.zeros(3, 64, 64), 500).eps).all()
    assert model.third.pipeline.vae.dtype == torch.float32
    assert model.third._text_encoder().dtype == torch.float32


def test_shards_in_fp16_are_loaded(own, halves, monkeypatch):
    for path in list(own.rglob("*.safetensors")):
        half = halves / path.parent.relative_to(own) / f"{path.stem}.fp16.safetensors"
        shutil.copy(half, path)
        in_shards(path, ".fp16")
    prepare(ALL)
    model = models.load("deepfloyd")
    assert model.settings["stage 1"] == model.settings["stage 3"] == "a local folder, fp16 files"
    assert model.third.pipeline.vae.dtype == torch.float32


@pytest.mark.parametrize("name", ["stage_1/unet/diffusion_pytorch_model.bin", "stage_1/x.pt", "stage_3/vae/x.ckpt"])
def test_a_complete_set_is_not_refused_for_pickles_that_nothing_reads(own, name):
    (own / name).write_bytes(b"")
    prepare(ALL)
    models.load("deepfloyd")


def test_a_folder_of_pickles_alone_is_said_to_be_that(tmp_path, monkeypatch):
    (tmp_path / "own/stage_1/unet").mkdir(parents=True)
    monkeypatch.setenv("DEEPFLOYD_WEIGHTS", str(tmp_path / "own"))
    with pytest.raises(
        ModelError, match=r"no weights \(\*.safetensors\) in [^,]*own; set DEEPFLOYD_WEIGHTS to a folder"
    ):
        models.folder("deepfloyd")
    (tmp_path / "own/stage_1/unet/diffusion_pytorch_model.bin").write_bytes(b"")
    with pytest.raises(ModelError, match=r"own, only \S+\.bin, a pickle, which can execute code and is not read; set"):
        models.folder("deepfloyd")


def test_a_stage_behind_a_link_to_nothing_is_said_to_be_that(own):
    for stage in ("stage_2", "stage_1"):
        shutil.rmtree(own / stage)
        (own / stage).symlink_to("gone")
        with pytest.raises(ModelError, match=f"{stage}/ is a link to gone, which is gone.*; save DeepFloyd/IF-I"):
            prepare(ALL)


def test_a_blob_that_is_gone_from_the_hubs_cache_is_fetched_again(hub):
    prepare()
    path = weights.stages("deepfloyd", None)["stage_1"] / "unet" / "diffusion_pytorch_model.fp16.safetensors"
    path.resolve().unlink()
    lines, refusals = models.plan("deepfloyd", lambda steps, guided: SMALL)
    assert refusals == []
    assert [
        line for line in lines if "to be fetched: unet/diffusion_pytorch_model.fp16.safetensors is a link to" in line
    ]
    hub.refusals[FIRST.id] = 500, ""
    assert f"the Hub answered 500 ({path.parents[1]}/unet/{path.name} is a link to " in refusal()
    hub.refusals.clear()
    prepare()
    assert path.is_file()


def test_the_doctor_names_all_that_is_in_the_way_and_ends_with_1(own, monkeypatch):
    set_machine(monkeypatch, PROCESSOR)  # this one may be short of memory
    shutil.rmtree(own / "stage_2")
    cut(own / UNET)
    done = CliRunner().invoke(cli.main, ["doctor", "--model", "deepfloyd", "1.3", "1.8"])
    assert done.exit_code == 1
    first, second = done.stderr.splitlines()
    assert first.startswith(f"report: deepfloyd: {own}/stage_1/unet/diffusion_pytorch_model.safetensors is incomplete")
    assert second == f"report: deepfloyd: {own}: stage_2/ is missing (stage_2); save {SECOND.id} there with diffusers"
    assert "There are no obstacles" not in done.stdout


def test_the_doctor_of_the_shipped_model_has_little_to_say():
    done = CliRunner().invoke(cli.main, ["doctor", "1.3"])
    assert (done.exit_code, done.stderr) == (0, "")
    assert "MB of weights, present; nothing is fetched" in done.stdout
    assert "3 evaluations of stage 1, 0 of stage 2, 0 images of stage 3, on the CPU" in done.stdout


def test_a_file_that_is_cut_in_the_middle_of_a_run_is_one_line(own):
    prepare()
    tensors = disk.Tensors(own / "stage_1", "unet", torch.float32)
    cut(own / UNET)
    with pytest.raises(ModelError, match=r"unet/.* was truncated during the run; fetch it again, then run the same"):
        list(tensors.values())


def test_weights_of_another_network_are_refused(own):
    prepare()
    shutil.copy(own / T5, own / UNET)
    with pytest.raises(ModelError, match=r"stage_1/unet: the weights lack .*; fetch them again"):
        models.load("deepfloyd")


# --- embeddings that were handed out


@pytest.fixture
def handed(own, tmp_path, monkeypatch):
    """Write a file of embeddings, name it by the variable, and give its path."""

    def write(found, name="prompt_embeds_dict.pth"):
        path = tmp_path / name
        save_file(found, path) if path.suffix == ".safetensors" else torch.save(found, path)
        monkeypatch.setenv("DEEPFLOYD_EMBEDDINGS", str(path))
        return path

    return write


def embedded(*prompts, width=tiny_if.WIDTH):
    return {prompt: torch.full((1, 77, width), float(k), dtype=torch.float16) for k, prompt in enumerate(prompts)}


@pytest.mark.parametrize("name", ["prompt_embeds_dict.pth", "embeddings.safetensors"])
def test_embeddings_that_were_handed_out_take_the_place_of_the_text_encoder(own, handed, name):
    before = models.digest("deepfloyd")
    path = handed(embedded("a dog", "a cat", ""), name)
    shutil.rmtree(own / "stage_1" / "text_encoder")
    told = prepare()
    assert f"2, their embeddings from {path}" in told[0]
    assert not [line for line in told if "encoding" in line]
    model = models.load("deepfloyd")
    assert torch.equal(model.encode("a cat"), torch.ones(1, 77, tiny_if.WIDTH))
    assert model.settings["text encoder"].startswith(f"embeddings from {name}, sha256 ")
    assert str(path.parent) not in model.settings["text encoder"]
    assert models.digest("deepfloyd") != before


def test_prompts_that_were_not_handed_out_are_named_in_one_line(handed):
    path = handed(embedded("a cat"))
    assert (
        refusal()
        == f"deepfloyd: {path} lacks “”, “a dog”; add them, or unset DEEPFLOYD_EMBEDDINGS: T5 then encodes all"
    )


class Program:
    def __reduce__(self):
        return print, ("this ran",)


HANDED = {
    "code": (lambda path: torch.save({"a dog": Program()}, path), "contains more than tensors and could execute code"),
    "another width": (
        lambda path: torch.save(embedded("", "a dog", width=8), path),
        "is (1, 77, 8); stage 1 takes (1, to",
    ),
    "no dict": (lambda path: torch.save(torch.zeros(3), path), "is not a dict from prompts to embeddings"),
    "half a file": (lambda path: path.write_bytes(path.read_bytes()[:500]), "is damaged or not a file of embeddings"),
    "NaN": (
        lambda path: torch.save({**embedded(""), "a dog": torch.full((1, 77, tiny_if.WIDTH), torch.nan)}, path),
        "the embedding of “a dog” holds NaN or infinity; fetch the file again",
    ),
    "infinity": (
        lambda path: torch.save({"": torch.full((1, 77, tiny_if.WIDTH), -torch.inf).half()}, path),
        "the embedding of “” holds NaN or infinity; fetch the file again",
    ),
    "integers": (
        lambda path: torch.save({"": torch.ones(1, 77, tiny_if.WIDTH, dtype=torch.int64)}, path),
        "the embedding of “” holds int64, not floating-point numbers; fetch the file again",
    ),
    "complex numbers": (
        lambda path: torch.save({"": torch.ones(1, 77, tiny_if.WIDTH, dtype=torch.complex64)}, path),
        "the embedding of “” holds complex64, not floating-point numbers",
    ),
    "numbers for prompts": (
        lambda path: torch.save({1: torch.ones(1, 77, tiny_if.WIDTH)}, path),
        "is not a dict from prompts to embeddings",
    ),
    "no file": (lambda path: path.unlink(), "DEEPFLOYD_EMBEDDINGS: there is no file"),
}


@pytest.mark.parametrize("name", HANDED)
def test_bad_files_of_embeddings_are_refused_in_one_line(handed, capsys, name):
    damage, told = HANDED[name]
    path = handed(embedded("", "a dog"))
    damage(path)
    with pytest.raises(ModelError) as caught:
        prepare()
    assert told in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "this ran" not in capsys.readouterr().out


# --- the machine


def set_machine(monkeypatch, found):
    monkeypatch.setattr(plan, "present", lambda *_: found)


def test_where_others_draw_only_files_and_embeddings_are_planned_without_the_gpu(own, monkeypatch):
    def fail(*_):
        raise AssertionError("the GPU was touched, or this machine was measured")

    monkeypatch.setattr(plan, "present", fail)
    for name in ("_lazy_init", "mem_get_info"):
        monkeypatch.setattr(torch.cuda, name, fail)
    told = []
    models.prepare("deepfloyd", lambda *_: SMALL._replace(first=10**9), told.append, here=False)
    assert [line.split()[1] for line in told] == ["prompts", "stage_1", "disk", "encoding", "encoding"]
    assert "on the processor" in told[0]
    (own / "stage_1" / "unet" / "config.json").unlink()
    with pytest.raises(ModelError, match="stage_1"):
        models.prepare("deepfloyd", lambda *_: SMALL, told.append, here=False)


def test_processes_that_share_memory_plan_with_an_equal_part(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (70 * GB, 80 * GB))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "H100")
    monkeypatch.setattr(machine, "matmul_rate", lambda *_: 3e14)
    monkeypatch.setattr(machine.psutil, "virtual_memory", lambda: SimpleNamespace(available=90 * GB, total=100 * GB))
    assert machine.present()[1:3] == (70 * GB, 90 * GB)
    monkeypatch.setattr(machine.SHARING, "gpu", 2)
    monkeypatch.setattr(machine.SHARING, "ram", 4)
    assert machine.present()[1:3] == (40 * GB, 25 * GB)


def test_a_processor_that_would_take_days_is_refused(own, monkeypatch):
    set_machine(monkeypatch, PROCESSOR._replace(rate=1e6))
    told = refusal(SMALL._replace(first=7000))
    assert "no GPU, and this CPU would take" in told
    assert "use a CUDA GPU, draw fewer sections, or use deepfloyd-m" in told


def test_too_little_memory_is_refused(own, monkeypatch):
    set_machine(monkeypatch, PROCESSOR._replace(ram=0.3 * GB))
    assert "not enough RAM: the text encoder needs 0.5 GB, 0.3 are free; close other programs" in refusal()
    set_machine(monkeypatch, PROCESSOR)
    prepare()
    set_machine(monkeypatch, PROCESSOR._replace(ram=0.3 * GB))
    assert "not enough RAM: stage_1 needs 0.5 GB even layer by layer, 0.3 are free; close other" in refusal()
    with pytest.raises(ModelError, match="are free; `report doctor --model deepfloyd` shows what is needed"):
        plan.load("deepfloyd", own)


LATER = {"stage_2": 2.4 * GB, "stage_3": 1.7 * GB}
XL, L, M = ({"stage_1": size * GB, **LATER} for size in (8.6, 1.9, 0.74))


def offloading(found):
    return [spot.offloading for spot in found.values()]


@pytest.mark.parametrize(
    ("vram", "ram", "stages", "expected"),
    [
        (80, 100, XL, [HELD] * 3),
        (24, 16, XL, [HELD] * 3),
        (14.7, 11, XL, [IN_TURN] * 3),
        (14.7, 11, L, [HELD] * 3),
        (12, 12, XL, [IN_TURN] * 3),
        (8, 12, XL, [BY_LAYER, IN_TURN, IN_TURN]),
        (6, 12, XL, [BY_LAYER, IN_TURN, IN_TURN]),
        (6, 12, L, [IN_TURN] * 3),
        (0, 6, M, [IN_TURN, BY_LAYER, BY_LAYER]),
        (0, 6, XL, [BY_LAYER] * 3),
        (0, 12, XL, [BY_LAYER, IN_TURN, IN_TURN]),
        (0, 64, XL, [HELD] * 3),
    ],
)
def test_every_machine_has_a_way(vram, ram, stages, expected):
    """The machines on which the assignment is done: a free notebook, a desktop, laptops with small GPUs or none."""
    found = placement(Machine("GPU" if vram else "", vram * GB, ram * GB, 1e12), stages)
    assert offloading(found) == expected
    assert {spot.device.type for spot in found.values()} == {"cuda" if vram else "cpu"}
    assert all(spot.chunk >= 1 for spot in found.values())


def test_a_stage_3_too_large_for_the_gpu_runs_on_the_processor():
    found = placement(H100._replace(vram=1.5 * GB, ram=12 * GB), L)
    assert [spot.device.type for spot in found.values()] == ["cuda", "cuda", "cpu"]


@pytest.mark.parametrize(
    ("vram", "ram", "told"),
    [
        (8, 1, "not enough RAM: 2.0 GB are needed beside a GPU, 1.0 are free"),
        (0, 1, "not enough RAM: stage_1 needs 2.3 GB even layer by layer, 1.0 are free"),
        (0.3, 8, "not enough GPU memory: stage_1 needs 1.3 GB even layer by layer, 0.3 are free"),
    ],
)
def test_a_machine_that_is_too_small_is_told_the_one_thing_that_it_lacks(vram, ram, told):
    assert placement(Machine("GPU" if vram else "", vram * GB, ram * GB, 1e12), XL) == told


def test_what_is_read_follows_from_the_calls_and_the_ways():
    calls = [(1, 40), (1, 40), (2, 4), (2, 4), (1, 1), (3, 1)]
    found = placement(Machine("GPU", 14.7 * GB, 11 * GB, 1e12), XL)
    assert to_read(calls, XL, found) == pytest.approx((2 * 8.6 + 2.4 + 1.7) * GB)  # at each turn
    held = placement(H100, XL)
    assert to_read(calls, XL, held) == pytest.approx(sum(XL.values()))
    layered = {stage: spot._replace(offloading=BY_LAYER, chunk=32) for stage, spot in held.items()}
    assert to_read(calls, XL, layered) == pytest.approx((5 * 8.6 + 2 * 2.4 + 75 * 1.7) * GB)


@pytest.mark.parametrize(
    ("found", "device"), [(H100, "cuda"), (PROCESSOR, "cpu"), (H100._replace(vram=0.9 * GB), "cpu")]
)
def test_the_text_encoder_runs_where_a_layer_fits(found, device):
    assert text_device(found, 2 * weights.T5_PARAMETERS) == torch.device(device)
    assert "the text encoder needs 1.5 GB, 1.0 are free" in text_device(
        PROCESSOR._replace(ram=1 * GB), 2 * weights.T5_PARAMETERS
    )


def test_a_limit_on_this_process_counts_as_its_memory(monkeypatch):
    resource = pytest.importorskip("resource")
    monkeypatch.setattr(resource, "getrlimit", lambda which: (10 * 10**9, resource.RLIM_INFINITY))
    assert machine.present().ram < 10e9


def test_the_rate_and_the_memory_of_this_machine_are_measured(measured_once, monkeypatch):
    monkeypatch.undo()
    assert machine.matmul_rate(torch.device("cpu"), torch.float32, 16) > 0
    monkeypatch.setattr(machine, "matmul_rate", lambda device, dtype, side: side)
    found = machine.present()
    assert found.rate >= 1024
    assert found.ram > 1e8
    assert bool(found.gpu) == torch.cuda.is_available()


def test_the_cost_of_a_forward_follows_from_the_configuration_alone():
    """IF-I-XL: 4.305 billion parameters and 2.88 TFLOP, on a machine that holds neither."""
    xl = {
        "sample_size": 64, "in_channels": 3, "out_channels": 6, "layers_per_block": 3,
        "block_out_channels": [704, 1408, 2112, 2816], "cross_attention_dim": 2816, "attention_head_dim": 64,
        "down_block_types": ["ResnetDownsampleBlock2D", *["SimpleCrossAttnDownBlock2D"] * 3],
        "mid_block_type": "UNetMidBlock2DSimpleCrossAttn",
        "up_block_types": [*["SimpleCrossAttnUpBlock2D"] * 3, "ResnetUpsampleBlock2D"],
        "act_fn": "gelu", "cross_attention_norm": "group_norm", "encoder_hid_dim": 4096,
        "encoder_hid_dim_type": "text_proj", "addition_embed_type": "text", "resnet_time_scale_shift": "scale_shift",
    }  # fmt: skip
    parameters, flop = machine.unet_size(xl)
    assert parameters == pytest.approx(FIRST.parameters, rel=1e-3)
    assert flop == pytest.approx(FIRST.flop, rel=1e-3)


# --- the Hub


def test_what_is_needed_is_fetched_once_at_the_pinned_commits(hub):
    told = prepare(ALL)
    assert [line.split()[-1] for line in told if "fetching" in line] == [FIRST.id, SECOND.id, THIRD.id]
    assert any("to be fetched, " in line for line in told)
    assert f"{FIRST.id}/tokenizer/spiece.model" in hub.asked
    model = models.load("deepfloyd")
    assert model.settings["stage 2"] == f"{SECOND.id} at {SECOND.commit}, fp16 files"
    model.noise("a dog")(torch.zeros(3, 64, 64), 500)
    hub.asked.clear()
    prepare(ALL)
    assert hub.asked == []


def test_what_is_encoded_needs_no_text_encoder(hub):
    prepare()
    shutil.rmtree(constants.HF_HUB_CACHE)
    hub.asked.clear()
    prepare()
    assert hub.asked
    assert not [file for file in hub.asked if "text_encoder" in file or "tokenizer" in file]


def test_a_digest_of_the_hubs_weights_reads_no_file():
    assert models.digest("deepfloyd") != models.digest("deepfloyd-l") != models.digest("deepfloyd-m")


def test_a_repository_without_a_pin_stays_at_the_commit_it_was_first_fetched_at(hub, halves, monkeypatch):
    before = models.digest("deepfloyd-m")
    prepare(name="deepfloyd-m")
    assert weights.repositories("deepfloyd-m")["stage_1"].commit == hub_fixture.COMMIT
    assert (after := models.digest("deepfloyd-m")) != before
    monkeypatch.setattr(hub_fixture, "COMMIT", "f" * 40)  # main moves on
    shutil.rmtree(constants.HF_HUB_CACHE)
    hub.repositories["DeepFloyd/IF-I-M-v1.0"] = halves / "stage_1", {"0123456789abcdef0123456789abcdef01234567"}
    prepare(name="deepfloyd-m")
    assert models.digest("deepfloyd-m") == after


def test_the_doctor_fetches_and_writes_nothing(hub, cache):
    lines, refusals = models.plan("deepfloyd", lambda steps, guided: ALL)
    assert refusals == []
    assert hub.asked == []
    assert not cache.exists()
    assert not Path(constants.HF_HUB_CACHE).exists()
    assert any("IF-II-L-v1.0 at 609476ce702b, to be fetched" in line for line in lines)


def test_no_token_is_refused(hub, monkeypatch, tmp_path):
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "none"))
    assert "IF-I-XL-v1.0 needs a token, and none is set; accept the licence at http" in refusal()


ACCEPT = "its licence is not accepted; accept it at http"
REFUSALS = {
    "the licence (403)": (403, "GatedRepo", ACCEPT),
    "the licence (401)": (401, "GatedRepo", ACCEPT),
    "the token": (401, "RepoNotFound", "the token is not valid, or the repository is gone (401); run `hf auth login`"),
    "the token's rights": (403, "", "the Hub answered 403; is the licence accepted at http"),
    "a Hub that fails": (500, "", "the Hub answered 500"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_what_the_hub_refuses_becomes_one_line(hub, name):
    status, code, told = REFUSALS[name]
    hub.refusals[FIRST.id] = status, code
    assert told in refusal()
    assert "hf_a_token" not in refusal()
    assert hub.asked == []


def test_a_commit_that_is_not_there_is_refused(hub, halves):
    hub.repositories[FIRST.id] = halves / "stage_1", {"f" * 40}
    assert f"commit {FIRST.commit} does not exist; the weights were withdrawn or the pin is wrong" in refusal()


def test_without_a_network_it_is_refused(hub):
    hub.shutdown()
    hub.server_close()
    assert "the Hub cannot be reached; connect to the network, or set DEEPFLOYD_WEIGHTS to a folder" in refusal()


def test_a_disk_that_is_too_small_is_refused(hub, monkeypatch):
    monkeypatch.setattr(plan, "disk", lambda place: 1000)
    assert "is too small: 0.0 GB are needed and 0.0 are free" in refusal()
    assert hub.asked == []


def test_half_a_download_is_refused_and_a_missing_file_is_fetched_again(hub):
    prepare()
    folder = weights.stages("deepfloyd", None)["stage_1"]
    path = folder / "unet" / "diffusion_pytorch_model.fp16.safetensors"
    whole = path.read_bytes()
    path.write_bytes(whole[:-7])
    assert f"is incomplete: {len(whole) - 7:,} of {len(whole):,} bytes; remove the file and fetch it" in refusal()
    path.resolve().unlink()
    path.unlink(missing_ok=True)
    prepare()
    assert path.read_bytes() == whole


def test_a_repository_without_safetensors_is_refused(hub, tmp_path):
    hub.repositories[FIRST.id] = tmp_path, {FIRST.commit}
    assert f"{FIRST.id} has no safetensors at commit {FIRST.commit}" in refusal()


def test_of_a_repository_only_one_variant_is_fetched():
    names = [
        "model_index.json", "README.md", "unet/config.json", "unet/diffusion_pytorch_model.bin",
        "unet/diffusion_pytorch_model.safetensors", "unet/diffusion_pytorch_model.fp16.safetensors",
        "unet/diffusion_pytorch_model.non_ema.safetensors", "unet/diffusion_pytorch_model.fp16.bin",
        "text_encoder/config.json", "text_encoder/model.safetensors.index.json",
        "text_encoder/model.safetensors.index.fp16.json", "text_encoder/model-00001-of-00002.safetensors",
        "text_encoder/model.fp16-00001-of-00002.safetensors", "text_encoder/model.safetensors",
        "tokenizer/spiece.model", "tokenizer/README.txt", "safety_checker/model.safetensors",
    ]  # fmt: skip
    components = weights.STAGES["stage_1"] + weights.T5
    assert weights.wanted(names, components) == [
        "model_index.json", "unet/config.json", "unet/diffusion_pytorch_model.fp16.safetensors",
        "text_encoder/config.json", "text_encoder/model.safetensors.index.fp16.json",
        "text_encoder/model.fp16-00001-of-00002.safetensors", "tokenizer/spiece.model",
    ]  # fmt: skip
    without = [name for name in names if "fp16" not in name or name.startswith("unet")]
    found = weights.wanted(without, components)  # each component has its own variant
    assert "unet/diffusion_pytorch_model.fp16.safetensors" in found
    assert "unet/diffusion_pytorch_model.safetensors" not in found
    assert "text_encoder/model-00001-of-00002.safetensors" in found
    assert "text_encoder/model.safetensors" not in found

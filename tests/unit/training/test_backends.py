"""The native backend beside slayer: the same numbers at every step, and runs that go on from one to the other."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest


class PowerCutError(Exception):
    """Ends a training without a word, as the end of its process would."""


pytestmark = pytest.mark.train
torch = pytest.importorskip("torch", reason="needs torch (extra train)")

from building import on
from safetensors import safe_open
from safetensors.torch import save_file

from neurodeploy import commands
from neurodeploy.data.parts import encode, encode_lazily, load_splits
from neurodeploy.errors import MissingPackageError, TrainingError, UsageError
from neurodeploy.recipe.files import parse_recipe
from neurodeploy.recipe.record import BACKENDS
from neurodeploy.run_folder import written_backend
from neurodeploy.sparse.rewirer import Rewirer
from neurodeploy.training import loop
from neurodeploy.training.checkpoint import checkpoint_network, load_checkpoint
from neurodeploy.training.model.backends import build
from neurodeploy.training.model.stored import StoredSynapses, WholeSynapses
from neurodeploy.training.run import Run

HEAD = """
name = "both"
data = { name = "digits", n_steps = 6 }
network = { layers = LAYERS, neuron = { threshold = 64, current_decay = 2048, voltage_decay = 512, tau_grad = 0.01 } }
sparse = { SPARSE }
training = { epochs = 3, batch_size = 32, learning_rate = 1e-2, weight_scale = 2.5, logit_scale = 0.5 }
"""
MLP = "[{ neurons = 40 }, { neurons = 24 }, { neurons = 10 }]"
MIXED = (
    "[{ kind = 'conv', channels = 4, kernel = 3, padding = 1, dropout = 0.2, delay = 2 }, { kind = 'pool', kernel = 2 }, "
    "{ neurons = 24, delay = 3, weight_step = 8 }, { neurons = 16, recurrent = true }, { neurons = 10 }]"
)
BITS = (
    "[{ kind = 'conv', channels = 4, kernel = 3, padding = 1, dropout = 0.5 }, { kind = 'pool', kernel = 2, weight = 62 }, "
    "{ neurons = 24, weight_step = 8 }, { neurons = 20, weight_exponent = -1, dropout = 0.2 }, { neurons = 10 }]"
)
CASES = {
    "mlp, growth by gradient": (MLP, 'method = "rigl", density = 0.2, every_steps = 4, end_fraction = 1.0'),
    "every kind of layer": (
        MIXED,
        'method = "esl", density = 0.4, growth = "gradient", every_steps = 4, end_fraction = 1.0',
    ),
    "dropout between layers that spikes cross as bits": (
        BITS,
        'method = "set", density = 0.4, every_steps = 4, end_fraction = 1.0',
    ),
}
DIRECT = "grey levels into a convolution"
CASES[DIRECT] = (
    BITS.replace("channels = 4, kernel = 3", "channels = 6, kernel = 3, stride = 2"),
    'method = "rigl", density = 0.4, every_steps = 4, end_fraction = 1.0',
)
N_STEPS = 200
CLOSE = 1e-5


def text_of(case):
    layers, sparse = CASES[case]
    text = HEAD.replace("LAYERS", layers).replace("SPARSE", sparse)
    return text.replace("n_steps = 6", 'n_steps = 6, encoding = "direct", scale = 0.0625') if case == DIRECT else text


def samples_of(recipe):
    part = load_splits(recipe.data)[0]
    if recipe.data.encoding == "direct":  # left as it lies: a picture that is the same in all steps
        return encode_lazily(part, recipe.data, "train")
    return encode(part, recipe.data, "train").take(0, 640)


class Watched:
    """A run whose gradients before, and weights and masks after each optimiser step are remembered."""

    def __init__(self, backend, case, stored=False):
        # so long that rewiring goes on for all steps
        text = on(backend, text_of(case)).replace("epochs = 3", "epochs = 100")
        recipe = parse_recipe(text, "test")
        self.run = Run(recipe, samples_of(recipe))
        self.run.model.train()
        self.held = {id(own.weight): own for own in self.run.model.stored.values()}
        assert bool(self.held) == stored
        before, after = self.run.rewirer.before_step, self.run.rewirer.after_step

        def before_step():
            self.before = self.masks()
            self.whole = {name for name, own in self.run.model.stored.items() if own.watched}
            self.gradients = {n: self.gradient(p) for n, p in self.learned().items()}
            before()

        def after_step():
            self.moved = {n: w.clone() for n, w in self.run.model.dense_weights().items()}
            after()

        self.run.rewirer.before_step, self.run.rewirer.after_step = before_step, after_step

    def gradient(self, p):
        """Dense; of stored weights it is 0 at absent positions, except before a rewiring."""
        if (own := self.held.get(id(p))) is None:
            return p.grad.clone()
        if own.watched:
            whole = own.gradient()
            assert torch.equal(own.picked(whole), p.grad)
            return whole
        return own.spread(p.grad)

    def at_connections(self, name, gradient):
        """Return a gradient of the other run as far as this one has it."""
        weights = {id(w): n for n, w in self.run.model.weights().items()}
        weight = weights[id(self.learned()[name])] if "synapse" in name else None
        if weight not in self.run.model.stored or weight in self.whole:
            return gradient
        return gradient * self.before[weight]

    def learned(self):
        return {n: p for n, p in self.run.model.named_parameters() if p.requires_grad}

    def spikes(self, index):
        self.run.model.set_turn(self.run.rewirer.step)
        with torch.no_grad():
            return self.run.model.layers(self.run.spikes[index])

    def masks(self):
        return {n: m.clone() for n, m in self.run.rewirer.masks.items()}


@pytest.mark.slayer
@pytest.mark.parametrize("how", ["torch", "stored", "whole"])
@pytest.mark.parametrize("case", CASES)
def test_a_native_step_from_slayers_state_is_slayers_step(case, how, monkeypatch):
    """Spikes bit for bit, gradients, integers and masks but for rounding, at every one of the steps, with rewiring."""
    torch.set_num_threads(1)
    if how == "torch":
        monkeypatch.setattr("neurodeploy.training.run.layers_on_lanes", lambda *_: [])
    if how == "whole":
        monkeypatch.setattr(Rewirer, "storable", False)
    slayer, native = Watched("slayer", case), Watched("native", case, how == "stored")
    held = {type(m) for m in native.run.model.modules()} & {StoredSynapses, WholeSynapses}
    assert held == {"torch": set(), "stored": {StoredSynapses}, "whole": {WholeSynapses}}[how]
    n_active = {}
    generator, n_rewired, n_apart = torch.Generator().manual_seed(0), 0, 0
    for _ in range(N_STEPS):
        native.run.load_state_dict(*slayer.run.state_dict(), backend="slayer")
        index = torch.randperm(len(slayer.run.spikes), generator=generator)[:32]
        masks = slayer.masks()
        sent = native.spikes(index)
        for name, layer in slayer.spikes(index).items():
            assert torch.equal(sent[name], layer), name
            n_active[name] = n_active.get(name, 0) + int(0 < layer.mean() < 1)
        slayer.run.step(index)
        native.run.step(index)
        assert slayer.gradients.keys() == native.gradients.keys()
        for name, gradient in slayer.gradients.items():
            gradient = native.at_connections(name, gradient)
            apart = (native.gradients[name] - gradient).abs().max()
            assert apart <= CLOSE * gradient.abs().max(), name
            n_apart += int(apart > 0)
        for name, mask in masks.items():
            ours, theirs = native.run.rewirer.masks[name], slayer.run.rewirer.masks[name]
            n_rewired += int(not torch.equal(theirs, mask))
            assert_same_but_for_ties(ours, theirs, mask, native.moved[name], slayer, name)
        assert_same_integers(native.run.model, slayer.run.model)
    assert min(n_active.values()) > N_STEPS / 2, f"layers that are silent say little: {n_active}"
    assert n_rewired >= 100
    if how == "torch":  # lanes have an exponential of their own
        assert n_apart < N_STEPS * len(slayer.gradients), "gradients that are never equal point to another sum"


def assert_same_but_for_ties(ours, theirs, before, weight, slayer, name):
    """Where masks differ, the sizes by which connections were dropped, or grown, lie within rounding of each other."""
    names = {id(w): n for n, w in slayer.run.model.named_parameters()}
    gradient = slayer.gradients[names[id(slayer.run.model.weights()[name])]].abs()
    for score, part in ((weight.abs(), before), (gradient, ~before)):
        one, other = (score[part & a & ~b].sort().values for a, b in ((ours, theirs), (theirs, ours)))
        assert len(one) == len(other)
        assert torch.all((one - other).abs() <= CLOSE * score.max())


def assert_same_integers(ours, theirs):
    grids = theirs.grids
    for name, whole in theirs.quantised_weights().items():
        differs = ours.quantised_weights()[name] != whole
        step = grids[name.removesuffix("_recurrent")].step
        place = theirs.weights()[name].detach()[differs] * 64 / step
        assert torch.all((place - place.floor() - 0.5).abs() <= CLOSE * 64 / step), name


def test_backends_are_those_of_the_recipes():
    from neurodeploy.training.model import backends

    assert set(backends._MAKE) == set(backends._RUN) == set(BACKENDS)
    assert parse_recipe(text_of("every kind of layer"), "test").training.backend == "native"


@pytest.mark.slayer
def test_a_seed_starts_both_backends_alike():
    models = []
    for backend in BACKENDS:
        with torch.random.fork_rng():
            torch.manual_seed(5)
            models.append(build(parse_recipe(on(backend, text_of("every kind of layer")), "test"), (1, 8, 8)))
    native, slayer = (model.state_dict() for model in models)
    assert set(native) <= set(slayer)
    assert all(torch.equal(value, slayer[name]) for name, value in native.items())
    assert all(value.numel() and value.float().std() > 0 for name, value in native.items() if "weight" in name)


@pytest.mark.slayer
def test_the_surrogate_gradient_is_slayers():
    from lava.lib.dl.slayer.neuron import cuba

    from neurodeploy.training.model import fused

    assert (fused.TAU_UNIT, fused.SCALE_UNIT) == (cuba.TAU_RHO_MULT, cuba.SCALE_RHO_MULT)


# --- runs that go on -------------------------------------------------------------------------------------------------


def die(metrics):
    if metrics.epoch == 2:
        raise PowerCutError


@pytest.fixture(scope="module")
def folder(backend, tmp_path_factory):
    return filled(tmp_path_factory.mktemp(backend), backend)


def filled(folder, backend):
    """A recipe, a run of it that broke off after two of three epochs, and a whole one."""
    (folder / "both.toml").write_text(text_of("every kind of layer"), encoding="utf-8")
    with pytest.raises(PowerCutError):
        commands.train(folder / "both.toml", out=folder / "broken", backend=backend, on_epoch=die)
    commands.train(folder / "both.toml", out=folder / "whole", backend=backend)
    return folder


def contents(path):
    with safe_open(path, framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, file.metadata()  # noqa: SIM118


def assert_same_checkpoint(one, other):
    (tensors, header), (others, other_header) = (contents(f / "checkpoint.safetensors") for f in (one, other))
    assert header == other_header
    assert tensors.keys() == others.keys()
    assert all(torch.equal(tensor, others[name]) for name, tensor in tensors.items())


def copied(folder, tmp_path):
    shutil.copytree(folder / "broken", tmp_path / "run")
    return tmp_path / "run"


def test_a_run_resumes_on_its_own_backend_whatever_the_recipe_says_now(backend, folder, tmp_path):
    """The recipe names none, so that its default is the native one."""
    run = copied(folder, tmp_path)
    assert written_backend(run / "state.safetensors") == written_backend(run / "checkpoint.safetensors") == backend
    commands.train(folder / "both.toml", out=run, resume=True)
    assert_same_checkpoint(run, folder / "whole")


def without_backend(path):
    """Take the backend out of a file's header: the state and the checkpoint of a version that knew slayer alone."""
    tensors, header = contents(path)
    save_file(tensors, path, metadata={key: value for key, value in header.items() if key != "backend"})


@pytest.mark.slayer
def test_a_run_of_before_there_were_backends_is_slayers(tmp_path):
    folder = filled(tmp_path, "slayer")
    run = copied(folder, tmp_path)
    for name in ("state.safetensors", "checkpoint.safetensors"):
        without_backend(run / name)
        assert written_backend(run / name) == "slayer"
    assert load_checkpoint(run / "checkpoint.safetensors").model.backend.name == "slayer"
    commands.train(folder / "both.toml", out=run, resume=True)
    assert_same_checkpoint(run, folder / "whole")


@pytest.mark.slayer
def test_a_run_goes_on_with_the_other_backend_when_asked(backend, folder, tmp_path):
    run = copied(folder, tmp_path)
    other = next(name for name in BACKENDS if name != backend)
    result = commands.train(folder / "both.toml", out=run, resume=True, backend=other)
    assert result["epochs"] == 3
    assert written_backend(run / "state.safetensors") == other
    lines = [(f / "metrics.jsonl").read_text(encoding="utf-8").splitlines() for f in (run, folder / "whole")]
    for ours, theirs in zip(*([json.loads(line) for line in own] for own in lines)):
        assert ours["density"] == theirs["density"]
        assert ours["loss"] == pytest.approx(theirs["loss"], rel=0.05)


@pytest.mark.slayer
def test_a_state_with_other_shapes_is_not_taken_over():
    runs = {}
    for backend, layers in (("slayer", MLP), ("native", MLP.replace("40", "41"))):
        recipe = parse_recipe(on(backend, text_of("mlp, growth by gradient").replace(MLP, layers)), "test")
        runs[backend] = Run(recipe, samples_of(recipe))
    runs["slayer"].step(torch.arange(32))
    with pytest.raises(TrainingError, match="the saved state does not fit this recipe .*; start anew"):
        runs["native"].load_state_dict(*runs["slayer"].state_dict(), backend="slayer")


@pytest.mark.slayer
def test_a_checkpoint_gives_the_same_integers_and_spikes_on_both_backends(folder):
    networks = [checkpoint_network(folder / "whole", name)[1] for name in BACKENDS]
    assert networks[0].fingerprint == networks[1].fingerprint
    commands.export(folder / "whole", force=True)
    proof = commands.verify(folder / "whole", engines=("native", "slayer", "reference", "event"), n_samples=30)
    assert proof["equal"]
    assert proof["spikes_compared"] > 1000


def test_verify_runs_the_backend_that_trained(backend, folder):
    from neurodeploy.commands.verify import default_engines

    assert default_engines(folder / "whole")[:3] == (backend, "reference", "event")
    assert default_engines(folder / "both.toml") == default_engines(None) == ("reference", "event")


def test_a_native_run_is_compared_without_lava_where_there_is_none(backend, folder, monkeypatch):
    from neurodeploy.commands.verify import default_engines

    monkeypatch.setenv("NEURODEPLOY_LAVA_PYTHON", "/nonexistent/python")
    lava = ("lava",) if backend == "slayer" else ()
    assert default_engines(folder / "whole") == (backend, "reference", "event", *lava)


def test_a_run_that_was_not_exported_is_exported_for_its_report(backend, folder, tmp_path):
    """``train`` and then ``report``, as the first two commands of a newcomer."""
    pytest.importorskip("plotly", reason="needs plotly (extra report)")
    shutil.copytree(folder / "whole", tmp_path / "run")
    (tmp_path / "run" / "model.nir").unlink(missing_ok=True)
    said = []
    made = commands.report(tmp_path / "run", engines=(backend, "event"), n_samples=10, say=said.append)
    assert made["report"]["verification"]["equal"]
    assert said[0].startswith("export ")
    assert commands.load_network(tmp_path / "run").fingerprint == checkpoint_network(tmp_path / "run")[1].fingerprint
    said.clear()
    commands.report(tmp_path / "run", engines=(backend, "event"), n_samples=10, say=said.append)
    assert not said[0].startswith("export ")


def test_an_unknown_backend_is_named_with_those_there_are(tmp_path):
    (tmp_path / "both.toml").write_text(text_of("mlp, growth by gradient"), encoding="utf-8")
    with pytest.raises(UsageError, match="unknown backend 'genn'; known: native, slayer"):
        commands.train(tmp_path / "both.toml", out=tmp_path / "run", backend="genn")
    assert not (tmp_path / "run").exists()


def test_a_backend_that_is_not_installed_says_which_extra_and_the_other_way(tmp_path, monkeypatch):
    """As on every Python but 3.10."""
    for name in [
        m for m in sys.modules if m.startswith("neurodeploy.training.model.") and m.endswith(("slayer", "blocks"))
    ]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "lava.lib.dl.slayer.block", None)
    (tmp_path / "both.toml").write_text(text_of("mlp, growth by gradient"), encoding="utf-8")
    with pytest.raises(MissingPackageError, match=r"backend 'slayer' needs lava-dl.*\[slayer\].*--backend native"):
        commands.train(tmp_path / "both.toml", out=tmp_path / "run", backend="slayer")
    assert not (tmp_path / "run").exists()


@pytest.mark.slayer
@pytest.mark.parametrize("where", ["neuron = { ", "{ neurons = 24, neuron = { "])
def test_slayer_refuses_a_reset_by_subtraction_with_the_reason(where, tmp_path):
    text = on("slayer", text_of("mlp, growth by gradient"))
    text = text.replace("{ neurons = 24 }", "{ neurons = 24, neuron = { threshold = 60 } }")
    text = text.replace(where, where + 'reset = "subtract", ')
    recipe = parse_recipe(text, "test")
    with pytest.raises(TrainingError, match=r"neuron.reset is 'subtract', but slayer's neurons can only reset to zero"):
        loop.train(recipe, tmp_path / "run", recipe_text=text)
    assert not (tmp_path / "run").exists()


def test_a_file_that_is_no_checkpoint_names_no_backend(tmp_path):
    for content in (b"", b"12345678damaged", np.arange(100).tobytes(), b"\xff" * 40):
        (tmp_path / "x.safetensors").write_bytes(content)
        assert written_backend(tmp_path / "x.safetensors") is None
    assert written_backend(tmp_path / "none.safetensors") is None


def test_without_torch_each_command_names_the_extra(folder, tmp_path):
    """In a process of its own, where torch cannot be imported."""
    commands.export(folder / "whole", force=True)
    for command in (["train", "digits-mlp"], ["export", "RUN", "--out", "x.nir"], ["verify", "RUN"]):
        words = [str(folder / "whole") if word == "RUN" else word for word in command]
        code = f"import sys; sys.modules['torch'] = None; sys.argv = {['neurodeploy', *words]}; "
        code += "from neurodeploy.cli import main; main()"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=False)
        assert done.returncode == MissingPackageError.exit_code, done.stderr
        assert "torch is not installed; pip install 'neurodeploy-snn[train]'" in done.stderr
        assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())

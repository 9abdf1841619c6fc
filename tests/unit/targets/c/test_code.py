"""The C code of networks on this machine: every spike and voltage that of the reference, without a warning, of the size that
the layout says.

Programs are built once with an address and undefined-behaviour sanitizer where the compiler has them.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from building import ROOT, chain, connect, neuron, one_layer, samples, spikes, wired
from random_networks import random_network

from neurodeploy.commands import simulate as simulate_command
from neurodeploy.commands import verify
from neurodeploy.engines.checks import input_events
from neurodeploy.engines.decoding import decode
from neurodeploy.engines.reference import run_reference
from neurodeploy.errors import FileError, MissingPackageError, NetworkError, UsageError
from neurodeploy.exchange.formats import write_network
from neurodeploy.network import Conv, Cuba, LeakyIntegrator, Network, Output, Pool
from neurodeploy.network.activity import Samples
from neurodeploy.proofs.compare import compare_activities
from neurodeploy.tables import OPTIMIZE, plan_tables
from neurodeploy.targets import check_target, write_target
from neurodeploy.targets.c.code import LIBRARY, library_texts
from neurodeploy.targets.c.host import build_driver, find_compiler, run_built, run_c, write_events
from neurodeploy.targets.c.write import source_hashes

pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler: apt-get install gcc")
CHECKED = ("-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
LIMIT = 2**23


def library(network: Network, folder: Path, optimize: str = "balance") -> Path:
    """Write the library of a network into a folder and return it."""
    folder.mkdir(exist_ok=True)
    for name, text in library_texts(network, optimize).items():
        (folder / name).write_text(text)
    return folder


def hold(network: Network, given: Samples, folder: Path, optimize: str = "balance", options=CHECKED) -> int:
    """Run a network as C and by the reference; hold spikes, voltages and classes to be equal; return the spikes compared."""
    probe = [(p.name, "v") for p in network.populations]
    program = build_driver(library(network, folder, optimize), folder, options=options)
    ours, theirs = run_built(program, network, given, probe=probe), run_reference(network, given, probe=probe)
    compared = compare_activities([theirs, ours], probe)
    assert compared.equal, compared.first_difference
    for key, state in theirs.states.items():
        np.testing.assert_array_equal(ours.states[key], state, err_msg=str(key))
    return compared.spikes_compared


@pytest.fixture
def held(tmp_path):
    """Hold a network to the reference."""
    return lambda network, given, **options: hold(network, given, tmp_path, **options)


@pytest.mark.parametrize("seed", [pytest.param(n, marks=[pytest.mark.slow] if n >= 25 else []) for n in range(200)])
def test_a_random_network_gives_every_spike_and_voltage_of_the_reference(seed, held):
    network, given = random_network(seed)
    held(network, given, optimize=OPTIMIZE[seed % 3], options=("-O0",) if seed % 5 else CHECKED)


def test_random_networks_hold_every_way_of_sending():
    """What the random networks are trusted with: all kinds, formats and modes occur among the first 25."""
    layouts = [plan_tables(random_network(seed)[0], OPTIMIZE[seed % 3]) for seed in range(60)]
    wires = [wire for layout in layouts for wire in layout.wires]
    assert {w.format for w in wires} >= {"rows", "lanes", "idx8", "delta8", "idx16", "bitmap", None}
    assert {(w.kind, w.mode) for w in wires} == {
        (k, m) for k in ("matrix", "conv", "pool") for m in ("now", "ring", "sum")
    }
    assert any(w.held for w in wires)
    assert any(w.graded for w in wires)
    assert any(w.wrap for w in wires)
    populations = [p for layout in layouts for p in layout.populations]
    assert {p.current.kind for p in populations} == {"keep", "forget", "short", "long"}
    assert {p.bounds.fold for p in populations} == {p.bounds.clip for p in populations} == {False, True}
    assert any(p.check_first for p in populations)


@pytest.mark.parametrize("optimize", OPTIMIZE)
@pytest.mark.parametrize("density", [1.0, 0.3, 0.02])
def test_layers_of_all_densities_and_sizes_beyond_a_block(optimize, density, held):
    rng = np.random.default_rng(3)
    sizes = (40, 300, 7)
    layers = [2 * rng.integers(-60, 64, (b, a)) * (rng.random((b, a)) < density) for a, b in zip(sizes, sizes[1:])]
    network = chain(layers, neuron(threshold=200))
    assert held(network, spikes((2, 20, 40), 0.3), optimize=optimize) > 400


def test_more_events_than_lanes_hold_are_handed_on_within_the_step(held):
    """257 rows of the largest weight fill 16 bits; here 600 sources spike at once, in front of and behind their target."""
    weights = np.full((20, 600), 127)
    back = connect("out", "hidden", np.full((600, 20), 3), "back")
    network = chain(
        {"hidden": np.eye(600, dtype=int) * 200, "out": weights}, neuron(threshold=100), shape=(600,), extra=[back]
    )
    layout = plan_tables(network)
    assert [w.format for w in layout.wires if w.target == "out"] == ["lanes"]
    assert held(network, samples(np.ones((1, 6, 600), bool))) > 3600


@pytest.mark.parametrize("reset", ["zero", "subtract"])
def test_states_at_the_edge_of_24_bits_wrap_and_clip_as_in_the_reference(reset, held):
    keep = Cuba(current_decay=0, voltage_decay=0, threshold=2**17 - 1, reset=reset)
    weights = np.array([[255], [-256], [254], [1]])
    given = samples(np.ones((1, 30, 1), bool))
    assert held(one_layer(weights, keep, weight_exponent=7), given) >= 30


def test_graded_sums_wrap_at_32_bits_before_they_are_rounded(held):
    payloads = np.array([[[2**31 - 1, -(2**31)], [2**30, 2**30], [-5, 7], [2**31 - 1, 2**31 - 1]]])
    network = one_layer(np.array([[255, 254], [-256, 4]]), neuron(threshold=50), weight_exponent=-3, graded=True)
    held(network, samples(payloads, graded=True))


def test_every_decoding_gives_the_class_of_the_reference(tmp_path):
    rng = np.random.default_rng(1)
    outputs = [Output(name=d, population="b", decoding=d) for d in ("count", "first_spike", "sum", "last_message")]
    outputs.append(Output(name="voltage", population="b", decoding="last_voltage"))
    network = wired(
        {"in": 12}, {"b": (6, neuron(threshold=60))}, [connect("in", "b", rng.integers(-40, 60, (6, 12)))], outputs
    )
    given = spikes((20, 9, 12), 0.2)
    program = build_driver(library(network, tmp_path), tmp_path)
    (tmp_path / "work").mkdir()

    write_events(network, input_events(network, given, 10), [20, 10, 0], tmp_path / "work" / "in.bin")
    subprocess.run([str(program), "in.bin"], cwd=tmp_path / "work", check=True)
    found = np.fromfile(tmp_path / "work" / "classes.bin", np.uint32).reshape(20, 5)
    activity = run_reference(network, given, probe=[("b", "v")])
    for k, output in enumerate(network.outputs):
        np.testing.assert_array_equal(found[:, k], decode(network, activity, output.name), err_msg=output.name)


@pytest.mark.parametrize("optimize", OPTIMIZE)
@pytest.mark.parametrize("seed", range(4))
def test_the_library_has_no_warning_and_needs_no_function_from_outside(optimize, seed, tmp_path):
    network = random_network(seed)[0]
    write_target("c", network, tmp_path / "out", settings={"optimize": optimize})
    assert check_target("c", tmp_path / "out") == []
    made = tmp_path / "network.o"
    subprocess.run(["cc", "-std=c99", "-O2", "-c", str(tmp_path / "out" / "network.c"), "-o", str(made)], check=True)
    undefined = subprocess.run(["nm", "-u", str(made)], capture_output=True, text=True, check=True).stdout
    assert set(undefined.split()) <= {"U", "_GLOBAL_OFFSET_TABLE_", "__stack_chk_fail"}


@pytest.mark.parametrize("seed", range(8))
def test_state_and_tables_have_the_bytes_of_the_layout(seed, tmp_path):
    """The code asserts both sizes when it is compiled; here they are read from the object and from a program."""
    network = random_network(seed)[0]
    layout = plan_tables(network)
    folder = library(network, tmp_path)
    main = 'int main(void) { printf("%u", (unsigned)sizeof(network)); return 0; }'
    show = f'#include "network.h"\n#include <stdio.h>\n{main}\n'
    (folder / "show.c").write_text(show)
    subprocess.run(["cc", str(folder / "show.c"), "-o", str(folder / "show")], check=True)
    done = subprocess.run([str(folder / "show")], capture_output=True, text=True, check=True)
    assert int(done.stdout) == layout.ram_bytes
    subprocess.run(["cc", "-c", str(folder / "network.c"), "-o", str(folder / "network.o")], check=True)
    symbols = subprocess.run(["nm", "-S", str(folder / "network.o")], capture_output=True, text=True, check=True).stdout
    table = [line.split() for line in symbols.splitlines() if line.endswith(" tables")]
    assert [int(line[1], 16) for line in table] == ([layout.flash_bytes] if layout.tables else [])


_ARDUINO = """
#pragma once
#include <stdint.h>
#include <stdio.h>
#define INPUT 0
#define HIGH 1
struct Port { void begin(long) {} void println(long value) { printf("%ld\\n", value); } };
static Port Serial;
static inline void pinMode(int, int) {}
static inline int digitalRead(int) { return HIGH; }
static inline void delay(int) {}
"""
_BOARD = """
#include "Arduino.h"
#include "SKETCH"
int main() {
  setup();
  for (unsigned i = 0; i < 2 * (16 + NETWORK_DEPTH); i++) loop();
  return 0;
}
"""


class TestFolder:
    NETWORK = chain([((40, 0, -8), (0, 24, 16))])

    def test_it_holds_library_example_build_file_and_sketch(self, tmp_path):
        write_target("c", self.NETWORK, tmp_path / "digits")
        files = {p.relative_to(tmp_path / "digits").as_posix() for p in (tmp_path / "digits").rglob("*") if p.is_file()}
        assert files == {*LIBRARY, "CMakeLists.txt", "digits.ino", "example/main.c"}

    def test_the_example_compiles_and_runs(self, tmp_path):
        write_target("c", self.NETWORK, tmp_path / "out")
        files = [str(tmp_path / "out" / name) for name in ("network.c", "example/main.c")]
        strict = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", f"-I{tmp_path / 'out'}"]
        subprocess.run(["cc", *strict, *files, "-o", str(tmp_path / "example")], check=True)
        assert subprocess.run([str(tmp_path / "example")], check=False).returncode < 2

    @pytest.mark.skipif(shutil.which("cmake") is None, reason="needs cmake (Debian: apt install cmake)")
    def test_cmake_builds_the_library_and_the_example(self, tmp_path):
        write_target("c", self.NETWORK, tmp_path / "out")
        build = tmp_path / "build"
        for step in (["-S", str(tmp_path / "out"), "-B", str(build), "-DNETWORK_EXAMPLE=ON"], ["--build", str(build)]):
            done = subprocess.run(["cmake", *step], capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stdout + done.stderr
        assert (build / "libnetwork.a").exists()
        assert subprocess.run([str(build / "network_example")], capture_output=True, check=False).returncode < 2

    def test_the_sketch_builds_as_arduino_does_and_prints_a_class(self, tmp_path):
        """The sketch is C++ behind ``Arduino.h``, the library C; the board is a stand-in whose pin 2 is always high."""
        out = tmp_path / "digits"
        write_target("c", self.NETWORK, out)
        (tmp_path / "Arduino.h").write_text(_ARDUINO)
        (tmp_path / "board.cpp").write_text(_BOARD.replace("SKETCH", str(out / "digits.ino")))
        library, program = str(tmp_path / "network.o"), str(tmp_path / "board")
        subprocess.run(["cc", "-std=c99", "-c", str(out / "network.c"), "-o", library], check=True)
        include = [f"-I{tmp_path}", f"-I{out}"]
        subprocess.run(
            ["c++", "-Wall", "-Werror", *include, str(tmp_path / "board.cpp"), library, "-o", program], check=True
        )
        printed = subprocess.run([program], capture_output=True, text=True, check=True).stdout.split()
        assert printed == [str(self._class_after_16_steps())] * 2

    def _class_after_16_steps(self) -> int:
        raster = np.zeros((1, 16 + self.NETWORK.depth, 3), np.int8)
        raster[..., 0] = 1
        given = samples(raster)
        return int(decode(self.NETWORK, run_reference(self.NETWORK, given, n_steps=raster.shape[1]))[0])

    def test_an_earlier_export_is_kept_unless_forced(self, tmp_path):
        write_target("c", self.NETWORK, tmp_path / "out")
        before = (tmp_path / "out" / "network.c").read_text()
        other = chain([((1, 2, 3), (4, 5, 6))])
        with pytest.raises(FileError, match=r"out holds network\.h already; choose another --out, or --force"):
            write_target("c", other, tmp_path / "out")
        assert (tmp_path / "out" / "network.c").read_text() == before
        write_target("c", other, tmp_path / "out", force=True)
        assert other.fingerprint in (tmp_path / "out" / "network.h").read_text()

    def test_a_folder_that_another_process_writes_is_left_alone_even_by_force(self, tmp_path):
        hold = (
            "import sys, pathlib, neurodeploy.files.writing as writing\n"
            "with writing.locked_folder(pathlib.Path(sys.argv[1]), 'export'): print('held', flush=True); input()"
        )
        command = [sys.executable, "-c", hold, str(tmp_path / "out")]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
            assert other.stdin is not None
            assert other.stdout is not None
            assert other.stdout.readline() == "held\n"
            with pytest.raises(FileError, match=f"export: .*out is being made by process {other.pid} "):
                write_target("c", self.NETWORK, tmp_path / "out", force=True)
            assert [path.name for path in (tmp_path / "out").iterdir()] == [".lock"]
            other.communicate("\n")
        write_target("c", self.NETWORK, tmp_path / "out")
        assert not (tmp_path / "out" / ".lock").exists()

    def test_what_another_process_wrote_while_the_texts_were_made_is_kept(self, tmp_path, monkeypatch):
        def meanwhile(*given):
            (tmp_path / "out").mkdir()
            (tmp_path / "out" / "network.h").write_text("theirs")
            return library_texts(*given)

        monkeypatch.setattr("neurodeploy.targets.c.write.library_texts", meanwhile)
        with pytest.raises(FileError, match=r"out holds network\.h already"):
            write_target("c", self.NETWORK, tmp_path / "out")
        assert [(p.name, p.read_text()) for p in (tmp_path / "out").iterdir()] == [("network.h", "theirs")]

    @pytest.mark.parametrize(
        ("added", "language", "said"),
        [
            ("static int unused(void) { return 1; }\n", "c", "unused"),
            ("void *any(void);\nint *one(void);\nint *one(void) { return any(); }\n", "c++", "invalid conversion"),
        ],
    )
    def test_a_check_names_what_the_compiler_says(self, added, language, said, tmp_path):
        write_target("c", self.NETWORK, tmp_path / "out")
        with (tmp_path / "out" / "network.c").open("a") as file:
            file.write(added)
        faults = [fault for fault in check_target("c", tmp_path / "out") if fault.startswith(f"as {language}: ")]
        assert len(faults) == 1
        assert said in faults[0]
        (tmp_path / "out" / "network_tables.h").unlink()
        with pytest.raises(FileError, match=r"network_tables\.h is missing"):
            check_target("c", tmp_path / "out")

    def test_names_that_c_does_not_allow_become_part_of_macros(self, tmp_path):
        network = wired({"a */ b": 2}, {"größe 1": (2, neuron())}, [connect("a */ b", "größe 1", [[1, 2], [3, 4]])])
        write_target("c", network, tmp_path / "out")
        assert check_target("c", tmp_path / "out") == []
        assert "#define NETWORK_INPUT_A_32__42__47__32_B 0u" in (tmp_path / "out" / "network.h").read_text()


@pytest.mark.parametrize("kind", ["resonate_and_fire", "sigma", "delta", "sigma_delta"])
def test_other_kinds_of_neurons_are_refused_by_name_and_nothing_is_written(kind, tmp_path):
    network = chain({"hidden": [[2, 4]]}, neuron(kind))
    with pytest.raises(
        NetworkError, match=rf"population 'hidden' has {kind.replace('_', '-')} neurons; target c knows"
    ):
        write_target("c", network, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_unknown_rule_of_storage_is_refused(tmp_path):
    with pytest.raises(UsageError, match="optimize is 'size'; known: balance, flash, speed"):
        write_target("c", TestFolder.NETWORK, tmp_path / "out", settings={"optimize": "size"})
    with pytest.raises(UsageError, match="target 'netx' has no setting 'optimize'; targets with it: c"):
        write_target("netx", TestFolder.NETWORK, tmp_path / "a.net", settings={"optimize": "flash"})


def test_without_a_compiler_the_package_is_named(monkeypatch):
    monkeypatch.setenv("CC", "no-such-compiler")
    with pytest.raises(
        MissingPackageError, match="'no-such-compiler', which CC names, was not found; apt-get install gcc"
    ):
        find_compiler()
    monkeypatch.delenv("CC")
    monkeypatch.setenv("PATH", "")
    with pytest.raises(MissingPackageError, match="a C compiler was not found; apt-get install gcc"):
        run_c(TestFolder.NETWORK, samples(np.ones((1, 2, 3), bool)))


def test_a_current_cannot_be_recorded():
    with pytest.raises(UsageError, match="the code keeps 'u' only as the next step needs it"):
        run_c(TestFolder.NETWORK, samples(np.ones((1, 2, 3), bool)), probe=[("p1", "u")])


class TestCommands:
    @pytest.fixture
    def file(self, tmp_path):
        write_network(chain([((40, 0, -8), (0, 24, 16))], neuron(threshold=20)), tmp_path / "net.nd5")
        return tmp_path / "net.nd5"

    GIVEN = samples(np.ones((2, 6, 3), bool))

    def test_a_proof_holds_the_hashes_of_the_sources(self, file):
        proof = verify(file, self.GIVEN, engines=["reference", "event", "c"])
        assert proof["equal"]
        assert proof["engines"] == ["reference", "event", "c"]
        network = chain([((40, 0, -8), (0, 24, 16))], neuron(threshold=20))
        assert proof["targets"]["c"]["sources"] == source_hashes(network)
        assert set(proof["targets"]["c"]["sources"]) == set(LIBRARY)

    def test_simulate_runs_the_code(self, file):
        activity, facts = simulate_command(file, self.GIVEN, engine="c")
        reference, expected = simulate_command(file, self.GIVEN, engine="reference")
        assert compare_activities([reference, activity]).equal
        assert (facts["engine"], facts["overflow"]) == ("c", None)
        assert facts["outputs"] == expected["outputs"]
        with pytest.raises(UsageError, match="target 'c' takes neither --on-overflow nor --timeout"):
            simulate_command(file, self.GIVEN, engine="c", on_overflow="clip")

    def test_unknown_engines_are_refused_with_the_targets_that_run(self, file):
        with pytest.raises(UsageError, match=r"unknown engine 'd'; known: .*lava-in-process, brian2-loihi, c"):
            simulate_command(file, self.GIVEN, engine="d")
        with pytest.raises(UsageError, match="there is no processor 'z80'; known: cortex-m0"):
            verify(file, self.GIVEN, engines=["reference", "c:z80"])

    def test_without_a_compiler_nothing_runs(self, file, monkeypatch):
        monkeypatch.setenv("CC", "no-such-compiler")
        module = sys.modules["neurodeploy.commands.verify"]  # whose name in its room is that of the function
        monkeypatch.setattr(module, "simulate", lambda *_, **__: pytest.fail("an engine ran"))
        with pytest.raises(MissingPackageError, match="apt-get install gcc"):
            verify(file, self.GIVEN, engines=["reference", "c"])


def test_populations_at_convolutions_are_numbered_channel_last_and_spikes_in_c_order(held):
    rng = np.random.default_rng(5)
    conv = Conv(weights=rng.integers(-9, 20, (4, 2, 3, 3)), input_shape=(2, 6, 5), padding=(1, 1), stride=(2, 1))
    pool = Pool(input_shape=conv.output_shape, kernel=(2, 2), stride=(1, 2), weight=64)
    dense = rng.integers(-30, 60, (3, int(np.prod(pool.output_shape))))
    network = chain({"conv": conv, "pool": pool, "out": dense}, neuron(threshold=60))
    assert [p.image for p in plan_tables(network).populations] == [None, pool.output_shape, conv.output_shape]
    assert held(network, spikes((2, 10, 60), 0.3)) > 100


def test_a_leaky_integrator_is_read_by_its_voltage(held):
    network = chain(
        {"a": np.full((4, 3), 30), "b": np.full((2, 4), 20)},
        {"a": neuron(threshold=20), "b": LeakyIntegrator(current_decay=900, voltage_decay=77, bias=5)},
        decoding="last_voltage",
    )
    held(network, spikes((3, 9, 3)))


def test_an_input_that_reaches_nothing_is_taken(held):
    network = wired({"a": 2, "b": 3}, {"p": (2, neuron())}, [connect("a", "p", [[40, 0], [0, 60]])])
    held(network, samples({"a": np.ones((1, 3, 2), bool), "b": np.ones((1, 3, 3), bool)}))


def test_the_example_of_the_documentation_compiles(tmp_path):
    (example,) = re.findall(r"```c\n(.*?)```", (ROOT / "docs" / "c.md").read_text(encoding="utf-8"), re.DOTALL)
    library(chain([((40, 0, -8, 6), (0, 24, 16, 7))], output="class"), tmp_path)
    (tmp_path / "example.c").write_text(example)
    strict = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic"]
    subprocess.run(["cc", *strict, "-c", str(tmp_path / "example.c"), "-o", str(tmp_path / "example.o")], check=True)

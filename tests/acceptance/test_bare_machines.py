"""The program on machines that lack what most have: home, cache, room on the disk, a reader of the pipe, columns."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from building import ROOT, chain, spikes

from neurodeploy.exchange.nd5.write import to_nd5
from neurodeploy.exchange.netx.write import to_netx
from neurodeploy.exchange.nir.write import to_nir
from neurodeploy.network.activity import save_samples

if sys.platform == "win32":
    pytest.skip("has no such devices", allow_module_level=True)

NETWORK = chain([((4,),), ((3,),)])
BARE = {"PATH": "/usr/bin:/bin", "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"}


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("bare")
    to_nir(NETWORK, folder / "net.nir")
    save_samples(spikes((3, 4, NETWORK.inputs[0].size), source=NETWORK.inputs[0].name), folder / "x.npz")
    return folder


def program(*words: str, cwd: Path, **changes: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "neurodeploy", "--quiet", *words],
        cwd=cwd, capture_output=True, text=True, errors="replace", env={**BARE, **changes}, check=False, timeout=100,
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("place", ["/dev/null/none", "a file"])
def test_loops_are_compiled_without_a_home_and_a_cache_that_can_be_written(files, place, tmp_path):
    (tmp_path / "a file").touch()
    cache = str(tmp_path / place)
    done = program("simulate", "net.nir", "x.npz", "--json", cwd=files, HOME="/nonexistent", NUMBA_CACHE_DIR=cache)
    assert done.returncode == 0
    assert "cache" not in done.stderr
    assert '"samples": 3' in done.stdout


@pytest.mark.slow
def test_a_damaged_cache_is_as_good_as_none(files, tmp_path):
    words = ("simulate", "net.nir", "x.npz", "--json")
    before = program(*words, cwd=files, NUMBA_CACHE_DIR=str(tmp_path))
    kept = [path for path in tmp_path.rglob("*") if path.suffix in (".nbi", ".nbc")]
    assert kept
    for path in kept:
        path.write_bytes(b"\x80\x04damaged" if path.suffix == ".nbi" else path.read_bytes()[:100])
    after = program(*words, cwd=files, NUMBA_CACHE_DIR=str(tmp_path))
    assert (after.returncode, after.stderr) == (0, before.stderr)
    assert _without_seconds(after.stdout) == _without_seconds(before.stdout)


def _without_seconds(text: str) -> list[str]:
    return [line for line in text.splitlines() if '"seconds"' not in line]


def test_a_pipe_that_nobody_reads_is_a_silent_end(files):
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as closed:
        done = subprocess.run(
            [sys.executable, "-m", "neurodeploy", "--quiet", "chips", "list"],
            stdout=closed, stderr=subprocess.PIPE, text=True, env=BARE, check=False, cwd=files,
        )  # fmt: skip
    assert done.stderr == ""
    assert done.returncode in (1, 141)


def test_a_full_disk_under_the_output_is_one_line(files):
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        done = subprocess.run(
            [sys.executable, "-m", "neurodeploy", "--quiet", "chips", "list"],
            stdout=full, stderr=subprocess.PIPE, text=True, env=BARE, check=False, cwd=files,
        )  # fmt: skip
    assert done.stderr == "neurodeploy: No space left on device\n"
    assert done.returncode == 3


@pytest.mark.parametrize("words", ["--help", "check net.nir", "map net.nir --chip loihi2", "chips show loihi1"])
def test_forty_columns_of_latin_1_are_enough(files, words):
    done = program(*words.split(), cwd=files, COLUMNS="40", PYTHONIOENCODING="latin-1", PYTHONUTF8="0", LC_ALL="C")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout


PIPES = (
    *("check P.nir", "simulate net.nir P.npz", "map net.nir --chip P.toml", "export P.nd5 --out o.nir"),
    *("map net.nir --chip loihi2 --pin P.toml", "train P.toml --out run", "sweep P.toml --out run"),
    *("compare P.json P.json", "simulate P.net x.npz"),
)


@pytest.mark.parametrize("words", PIPES)
def test_a_pipe_that_is_named_as_a_file_is_not_waited_for(files, words, tmp_path):
    for name in ("net.nir", "x.npz"):
        (tmp_path / name).write_bytes((files / name).read_bytes())
    for suffix in ("nir", "npz", "toml", "nd5", "net", "json"):
        os.mkfifo(tmp_path / f"P.{suffix}")
    done = program(*words.split(), cwd=tmp_path)
    assert done.returncode not in (0, 1)
    assert done.stderr.startswith("neurodeploy: ")
    assert done.stderr.count("\n") == 1


FULL = """
import resource, signal, sys
from pathlib import Path
import numpy as np
from building import one_layer
from neurodeploy.errors import FileError
from neurodeploy.exchange.nd5.write import to_nd5
from neurodeploy.exchange.netx.write import to_netx
from neurodeploy.exchange.nir.write import to_nir

network = one_layer(np.random.default_rng(0).integers(-100, 100, (300, 300)) * 2)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]),) * 2)
for write, suffix in ((to_nir, ".nir"), (to_netx, ".net"), (to_nd5, ".nd5")):
    try:
        write(network, Path(sys.argv[1]) / f"a{suffix}")
    except FileError as error:
        print(suffix, "cannot be written" in str(error))
"""


@pytest.mark.parametrize("n_bytes", [300, 5000, 40_000])
def test_networks_on_a_full_disk_are_one_error_and_no_file(n_bytes, tmp_path):
    """HDF5 itself would end the process with a segmentation fault."""
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path), str(n_bytes)], capture_output=True, text=True, env=BARE, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split("\n")[:-1] == [".nir True", ".net True", ".nd5 True"]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("write", "suffix"), [(to_nir, ".nir"), (to_nd5, ".nd5"), (to_netx, ".net")])
def test_a_name_with_control_characters_does_not_reach_the_terminal(write, suffix, tmp_path):
    import h5py

    path = tmp_path / f"a{suffix}"
    write(NETWORK, path)
    with h5py.File(path, "a") as file:
        if suffix == ".nir":
            nodes = file["node/nodes"]
            nodes.move(next(iter(nodes)), "\x1b[31mred\nline")
        elif suffix == ".net":
            del file["layer/1/type"]
            file["layer/1/type"] = np.bytes_(b"\x1b[31mred\nline")
        else:
            file["\x1b[31mred"] = h5py.SoftLink("/x")
    done = program("check" if suffix == ".nir" else "show", path.name, cwd=tmp_path)
    done = program("simulate", path.name, "x.npz", cwd=tmp_path) if suffix != ".nir" else done
    assert done.returncode not in (0, 1)
    assert "\x1b" not in done.stderr + done.stdout


FULL_FOLDER = """
import resource, signal, sys
from pathlib import Path
import numpy as np
from building import spikes
from neurodeploy.files.writing import locked_folder
from neurodeploy.network.activity import save_samples

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
given = spikes((300, 40, 9))
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]),) * 2)
try:
    with locked_folder(Path(sys.argv[1]) / "run", "train: run"):
        save_samples(given, Path(sys.argv[1]) / "x.npz")
except OSError as error:
    print("no room")
"""


@pytest.mark.parametrize("n_bytes", [0, 300])
def test_a_full_disk_leaves_no_lock_no_folder_no_samples_and_no_words_of_a_library(n_bytes, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", FULL_FOLDER, str(tmp_path), str(n_bytes)],
        capture_output=True, text=True, env=BARE, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr, done.stdout) == (0, "", "no room\n")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize(("words", "code"), [("simulate net.nir x.npz --out {out}", 0), ("check none.nir", 3)])
def test_closed_streams_change_neither_result_nor_exit_code(files, words, code, closed, tmp_path):
    out = tmp_path / "a.npz"
    line = f"{sys.executable} -m neurodeploy --quiet {words.format(out=out)} {closed}"
    done = subprocess.run(["sh", "-c", line], cwd=files, capture_output=True, text=True, env=BARE, check=False)
    assert done.returncode == code
    assert "Traceback" not in done.stderr
    assert out.exists() == (code == 0)


def test_warnings_are_told_where_the_terminal_has_no_columns(files):
    done = program("simulate", "net.nir", "x.npz", cwd=files, COLUMNS="0")
    assert (done.returncode, done.stderr.startswith("neurodeploy: warning: ")) == (0, True)

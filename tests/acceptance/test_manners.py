"""Manners: long work says what it is at, off a terminal too and not with --quiet; what is missing is one line."""

from __future__ import annotations

import contextlib
import os
import re
import struct
import subprocess
import sys
import time

import pytest
from building import ROOT, chain, samples

from neurodeploy.cli import working
from neurodeploy.cli.entry import main
from neurodeploy.cli.show import progress, show
from neurodeploy.exchange.nir.write import to_nir
from neurodeploy.files.progress import compiling
from neurodeploy.network.activity import save_samples


def _until_told(capfd, text: str) -> str:
    """Return what standard error holds as soon as it holds a text, or after ten seconds."""
    told, end = "", time.monotonic() + 10
    while text not in told and time.monotonic() < end:
        time.sleep(0.01)
        told += capfd.readouterr().err
    return told


@pytest.fixture
def hasty(monkeypatch):
    monkeypatch.setattr(working, "SOON_S", 0.02)
    monkeypatch.setattr(working, "EVERY_S", 0.02)


@pytest.mark.usefixtures("hasty")
def test_work_that_lasts_says_again_and_again_what_it_is_at_without_a_terminal(capfd):
    with working.working("train", quiet=False):
        assert "train: at work; 0 s so far\n" in _until_told(capfd, "at work")
        with progress() as bar:
            bar("train: loss 0.312", 3, 15)
            assert "train: loss 0.312, 3 of 15; 0 s so far\n" in _until_told(capfd, "3 of 15")
    time.sleep(0.1)
    capfd.readouterr()
    time.sleep(0.1)
    assert capfd.readouterr().err == ""


def test_work_that_is_done_soon_says_nothing(capfd):
    with working.working("map", quiet=False), progress() as bar:
        bar("map: loihi2", 1, 2)
    assert capfd.readouterr().err == ""


@pytest.fixture
def files(tmp_path, monkeypatch):
    network = chain([((2, 4), (6, 8))])
    to_nir(network, tmp_path / "net.nir")
    name = network.inputs[0].name
    save_samples(samples([[[True, False]] * 4] * 3, name, labels=[0, 1, 0], name="x"), tmp_path / "x.npz")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _run(monkeypatch, *words: str) -> None:
    monkeypatch.setattr(sys, "argv", ["neurodeploy", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code


@pytest.mark.usefixtures("hasty", "files")
@pytest.mark.parametrize("words", [("--quiet", "report"), ("report", "--quiet")])
def test_quiet_leaves_results_alone_and_may_stand_anywhere(words, monkeypatch, capfd):
    given = ("net.nir", "--data", "x.npz", "--out", "out", "--chip", "loihi2")
    _run(monkeypatch, *words, *given)
    told = capfd.readouterr()
    assert "out/report.html" in told.out
    assert [line for line in told.err.splitlines() if not line.startswith("neurodeploy: warning: ")] == []
    _run(monkeypatch, "report", *given, "--force")
    assert "report: at work" in capfd.readouterr().err


def test_loops_that_are_compiled_are_told_of_once(capfd):
    from neurodeploy.cli.reading import telling_of_compilation

    with telling_of_compilation():
        tell = compiling.get()
        tell()
        tell()
    assert capfd.readouterr().err.count("compiling loops for this machine, once") == 1
    assert compiling.get() is None


@pytest.mark.parametrize("words", ["map net.nir --chip loihi2", "chips list", "recipe keys training"])
def test_a_terminal_of_40_columns_shows_whole_words(words, files):
    fcntl, pty, termios = (pytest.importorskip(name) for name in ("fcntl", "pty", "termios"))
    main_end, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 40, 0, 0))
    command = [sys.executable, "-m", "neurodeploy", "--quiet", *words.split()]
    shown = b""
    environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    environment |= {"PYTHONPATH": str(ROOT), "TERM": "xterm"}
    with subprocess.Popen(command, cwd=files, stdout=terminal, stderr=subprocess.PIPE, env=environment) as running:
        os.close(terminal)
        with contextlib.suppress(OSError):  # how a terminal ends
            while part := os.read(main_end, 4096):
                shown += part
        assert running.stderr.read() == b""
    os.close(main_end)
    assert running.returncode == 0
    lines = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown.decode()).replace("\r", "").splitlines()
    assert len([line for line in lines if len(line) <= 40]) > 4
    assert not [line for line in lines if "…" in line]


@pytest.mark.parametrize("package", ["jinja2", "plotly"])
def test_a_report_without_the_packages_of_its_page_is_written_without_it(package, files, monkeypatch, capfd):
    out = files / "out"
    out.mkdir()
    (out / "report.html").write_text("of an earlier run", encoding="utf-8")
    for module in [name for name in sys.modules if name.split(".")[0] == package or name == "neurodeploy.reports.html"]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, package, None)
    _run(monkeypatch, "report", "net.nir", "--data", "x.npz", "--out", "out", "--chip", "loihi2", "--force")
    told = capfd.readouterr()
    assert sorted(path.name for path in out.iterdir()) == ["report.json", "report.md", "report.txt"]
    assert f"report: the HTML page needs {package}, which is not installed; pip install" in told.err
    assert "out/report.txt, and beside it report.json, report.md" in told.out


@pytest.mark.parametrize(
    "words",
    [
        "train digits-mlp --out out",
        "sweep s.toml --out out",
        "bench methods --out out",
        "bench train --network 784-512-10",
    ],
)
def test_without_torch_one_line_says_what_to_install(words, tmp_path, monkeypatch, capfd):
    (tmp_path / "s.toml").write_text(
        'name = "s"\nrecipe = "digits-mlp"\n[grid]\nmethod = ["static"]\ndensity = [0.1]\nchip = ["loihi2"]\n',
        encoding="utf-8",
    )
    monkeypatch.chdir(tmp_path)
    for module in [name for name in sys.modules if name.startswith("neurodeploy.training")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.setattr(sys, "argv", ["neurodeploy", *words.split(), "--quiet"])
    with pytest.raises(SystemExit) as ended:
        main()
    told = capfd.readouterr()
    assert ended.value.code == 13
    assert told.err.endswith(": torch is not installed; pip install 'neurodeploy-snn[train]'\n")
    assert told.err.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["s.toml"]


def test_a_result_is_printed_without_brackets_of_python(capfd):
    show({"spikes": {"input": 301, "output": 115}, "share": 0.51999, "none": None, "list": []}, as_json=False)
    lines = [line.split(maxsplit=1)[1] for line in capfd.readouterr().out.splitlines()]
    assert lines == ["input 301, output 115", "0.52", "-", "none"]

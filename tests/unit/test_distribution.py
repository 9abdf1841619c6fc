"""The distribution: its name in every hint, its version in one place, what wheel and sdist hold, and what a host runs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from building import ROOT

import neurodeploy
from neurodeploy.errors import DISTRIBUTION, install_hint
from neurodeploy.files.toml import parse_toml

PROJECT = parse_toml((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = set(PROJECT["optional-dependencies"])


def _files(*folders: str) -> list[Path]:
    """Return the files below folders of the project that people wrote."""
    found = (path for folder in folders for path in (ROOT / folder).rglob("*"))
    return sorted(path for path in found if path.is_file() and "__pycache__" not in path.parts)


def _relative(paths: list[Path]) -> set[str]:
    return {path.relative_to(ROOT).as_posix() for path in paths}


def test_hints_name_the_distribution_of_the_project():
    assert PROJECT["name"] == DISTRIBUTION
    assert install_hint("report") == "pip install 'neurodeploy-snn[report]'"
    assert install_hint() == "pip install neurodeploy-snn"


def test_no_line_of_the_project_installs_the_package_of_someone_else():
    texts = [path for path in ROOT.iterdir() if path.is_file() and path.suffix in ("", ".md", ".toml")]
    texts += _files(".ci", ".github", "docs", "examples", "neurodeploy", "tests", "tools")
    foreign = re.compile(r"""install +(-\S+ +)*['"]?neurodeploy(?![-\w])|neurodeploy\[[a-z]""")
    lines = {path: foreign.search(path.read_text(encoding="utf-8", errors="replace")) for path in texts}
    assert [f"{path.relative_to(ROOT)}: {found.group()}" for path, found in lines.items() if found] == []


def test_every_hint_names_an_extra_and_all_has_all_of_them():
    named = {
        extra
        for path in _files("neurodeploy")
        if path.suffix == ".py"
        for extra in re.findall(r"""install_hint\(['"](\w+)['"]\)""", path.read_text(encoding="utf-8"))
    }
    assert {"train", "report"} <= named <= EXTRAS
    (everything,) = PROJECT["optional-dependencies"]["all"]
    assert everything == f"{DISTRIBUTION}[{','.join(e for e in PROJECT['optional-dependencies'] if e != 'all')}]"


def test_the_version_stands_in_the_package_alone(run_cli):
    assert "version" not in PROJECT
    assert PROJECT["dynamic"] == ["version"]
    assert run_cli("--version").stdout == f"neurodeploy {neurodeploy.__version__}\n"
    newest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert newest is not None
    assert newest.group(1) == neurodeploy.__version__


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A folder with the wheel and the sdist of this checkout."""
    pytest.importorskip("hatchling", reason="needs hatchling (extra dev)")
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-d", folder], cwd=ROOT, check=True, capture_output=True
    )
    return folder


def test_the_wheel_holds_the_package_with_its_data_and_nothing_else(built):
    (path,) = built.glob("*.whl")
    with zipfile.ZipFile(path) as wheel:
        held = {name for name in wheel.namelist() if ".dist-info/" not in name}
        (about,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = wheel.read(about).decode()
    stay = _relative(_files("models/zoo"))
    data = {f"neurodeploy/_data/{name}" for name in _relative(_files("hardware", "models")) - stay}
    assert "models/zoo/mnist-conv-dense-0.nir" in stay
    assert held == _relative(_files("neurodeploy")) | data
    assert {"neurodeploy/py.typed", "neurodeploy/reports/report.schema.json"} <= held
    assert {"neurodeploy/reports/templates/page.html.j2", "neurodeploy/_data/hardware/loihi1.toml"} <= held
    assert f"\nName: {DISTRIBUTION}\nVersion: {neurodeploy.__version__}\n" in metadata


def test_the_sdist_holds_what_the_tests_and_their_environment_are_made_from(built):
    (path,) = built.glob("*.tar.gz")
    with tarfile.open(path) as sdist:
        held = {name.partition("/")[2] for name in sdist.getnames()}
    folders = (".ci", ".github", "docs", "examples", "hardware", "models", "neurodeploy", "tests", "tools")
    alone = {
        "Makefile",
        "pyproject.toml",
        "constraints.txt",
        ".python-version",
        ".pre-commit-config.yaml",
        ".gitignore",
    }
    told = {"README.md", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "PKG-INFO"}
    assert held == _relative(_files(*folders)) | alone | told


@pytest.mark.slow
def test_wheel_and_sdist_install_and_run_in_empty_environments(tmp_path):
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", tmp_path, "hatchling"]
    if subprocess.run(pip, capture_output=True, check=False).returncode:
        pytest.skip("pip reaches no packages to make an environment from")
    done = subprocess.run(
        [ROOT / "tools" / "check_install.sh", f"{sys.version_info[0]}.{sys.version_info[1]}"],
        env={**os.environ, "PYTHON": sys.executable},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_workflow_runs_the_checks_and_installs_what_is_built():
    yaml = pytest.importorskip("yaml", reason="needs pyyaml (extra dev)")
    jobs = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8"))["jobs"]
    lines = [step["run"] for job in jobs.values() for step in job["steps"] if "run" in step]
    assert ".ci/run" in lines
    tools = [
        line for line in lines if line.startswith("sudo apt-get")
    ]  # of microcontrollers, which .ci/run installs as root alone
    assert all("gcc-arm-none-eabi" in line for line in tools)
    assert len(tools) == 1
    programs = {line.split()[0] for line in lines if line not in tools} - {"make"}
    assert programs == {".ci/run", "tools/check_install.sh"}
    assert all((ROOT / program).stat().st_mode & 0o100 for program in programs)
    assert {"3.12", "3.13"} <= set(jobs["install"]["strategy"]["matrix"]["python"])


def test_the_hooks_are_the_tools_that_lint_runs():
    yaml = pytest.importorskip("yaml", reason="needs pyyaml (extra dev)")
    repositories = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"]
    assert [repository["repo"] for repository in repositories] == ["local"]
    entries = [hook["entry"].split() for hook in repositories[0]["hooks"]]
    assert [" ".join(words[:2]) for words in entries] == [
        ".venv/bin/ruff check",
        ".venv/bin/ruff format",
        ".venv/bin/mypy",
    ]
    assert all(hook["language"] == "system" for hook in repositories[0]["hooks"])

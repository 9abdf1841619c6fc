"""The doctor: which Python, torch and Lava are there, and what is broken."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module, metadata
from typing import Any

from neurodeploy.errors import LavaError, MissingPackageError, install_hint


def doctor() -> dict[str, Any]:
    """Return which Python, torch and Lava were found and what is broken, as plain values.

    The ``state`` of each check is ``ok``, ``missing`` (optional and not installed) or ``broken``; ``ok`` tells whether
    nothing is broken. What takes long to import is imported by processes side by side.
    """
    with ThreadPoolExecutor() as pool:
        lava, brian = pool.submit(_lava_check), pool.submit(_brian_check)
        packages = [pool.submit(_package_check, package, extra) for package, extra in _PACKAGES.items()]
        checks = [_python_check(), *(package.result() for package in packages), lava.result(), brian.result()]
    return {"ok": all(c["state"] != "broken" for c in checks), "checks": checks}


def _lava_check() -> dict[str, Any]:
    from neurodeploy.engines.lava import find_lava_python

    return _worker_check("Lava worker", "lava.magma", "NEURODEPLOY_LAVA_PYTHON", find_lava_python)


def _brian_check() -> dict[str, Any]:
    from neurodeploy.engines.brian import find_brian_python

    return _worker_check("brian2-loihi worker", "brian2_loihi", "NEURODEPLOY_BRIAN_PYTHON", find_brian_python)


def _worker_check(what: str, module: str, variable: str, find: Callable[[], str]) -> dict[str, Any]:
    """Ask a worker's interpreter to import its package; if the environment names one that cannot, it is broken."""
    check = {"what": what, "found": None, "state": "broken" if variable in os.environ else "missing"}
    try:
        python = find()
        subprocess.run([python, "-c", f"import {module}"], check=True, capture_output=True, timeout=60)
    except (LavaError, MissingPackageError) as error:
        return {**check, "note": str(error)}
    except (OSError, subprocess.SubprocessError) as error:
        return {**check, "found": python, "state": "broken", "note": f"cannot import {module}: {error}"}
    return {**check, "found": python, "state": "ok", "note": ""}


_PACKAGES = {
    "numpy": "",
    "numba": "",
    "nir": "",
    "torch": "train",
    "lava-dl": "slayer",
    "lava-nc": "lava",
    "scikit-learn": "train",
    "plotly": "report",
    "jinja2": "report",
}
_SLOW = ("torch", "scikit-learn")
"""Packages that take longer to import than a process takes to start."""


def _python_check() -> dict[str, Any]:
    supported = (3, 10) <= sys.version_info[:2] <= (3, 13)
    note = "" if supported else "neurodeploy runs on Python 3.10 to 3.13"
    if supported and sys.version_info[:2] != (3, 10):
        note = "lava-dl and Lava need Python 3.10; everything else works here, training on the native backend too"
    found = f"{platform.python_version()} ({sys.executable})"
    return {"what": "Python", "found": found, "state": "ok" if supported else "broken", "note": note}


def _package_check(package: str, extra: str) -> dict[str, Any]:
    """A package is broken if it is installed and does not import, or if the core needs it and it is missing."""
    try:
        version = metadata.version(package)
    except metadata.PackageNotFoundError:
        state = "missing" if extra else "broken"
        return {"what": package, "found": None, "state": state, "note": install_hint(extra)}
    module = {"lava-dl": "lava.lib.dl", "lava-nc": "lava.magma", "scikit-learn": "sklearn"}.get(package, package)
    fault = _import_fault(module) if package in _SLOW else _import_fault_here(module)
    if fault:
        return {"what": package, "found": version, "state": "broken", "note": f"does not import: {fault}"}
    return {"what": package, "found": version, "state": "ok", "note": ""}


def _import_fault(module: str) -> str:
    """Return why a process of this Python cannot import a module, "" where it can."""
    asked = [sys.executable, "-c", f"import {module}"]
    try:
        done = subprocess.run(asked, capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.SubprocessError) as error:
        return str(error)
    if done.returncode == 0:
        return ""
    return (done.stderr.strip().splitlines() or [f"its process ended with {done.returncode}"])[-1]


def _import_fault_here(module: str) -> str:
    try:
        import_module(module)
    except Exception as error:
        return str(error) or type(error).__name__
    return ""

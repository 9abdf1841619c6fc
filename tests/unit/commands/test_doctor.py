"""The doctor: what does not import is told with its reason, from a process of its own or from this one."""

from __future__ import annotations

import sys

import pytest

from neurodeploy.commands.doctor import _import_fault, _import_fault_here


@pytest.mark.parametrize("fault", [_import_fault, _import_fault_here])
def test_a_module_that_breaks_on_import_is_told_with_its_reason(fault, tmp_path, monkeypatch):
    (tmp_path / "broken_here.py").write_text("raise ImportError('libbroken.so: no such file')\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert "libbroken.so: no such file" in fault("broken_here")
    assert fault("json") == ""
    assert "broken_here" not in sys.modules

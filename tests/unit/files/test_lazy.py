"""Names that load on first use."""

from __future__ import annotations

import subprocess
import sys
from textwrap import dedent

import pytest

from neurodeploy import commands
from neurodeploy.files.lazy import named_function


def test_a_function_is_found_by_its_name():
    assert named_function("neurodeploy.files.lazy:named_function") is named_function


def test_a_name_that_a_room_has_not_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'neurodeploy.commands' has no attribute 'nothing'"):
        _ = commands.nothing


def test_a_room_lists_the_names_that_it_has_not_loaded_yet():
    assert set(commands.__all__) <= set(dir(commands))


@pytest.mark.parametrize("first", ["import neurodeploy.commands.report", "import neurodeploy.commands"])
def test_a_name_of_a_room_is_the_function_whether_or_not_the_module_of_that_name_is_loaded(first):
    code = f"""
        {first}
        from neurodeploy import commands
        from neurodeploy.commands import report
        assert report is commands.report and report.__module__ == "neurodeploy.commands.report"
        assert callable(report) and callable(commands.estimate), commands.estimate
    """
    subprocess.run([sys.executable, "-c", dedent(code)], check=True)

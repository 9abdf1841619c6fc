"""Tests that take ``backend`` run on both backends of training; slayer's are skipped where lava-dl is not installed."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="module", params=["native", pytest.param("slayer", marks=pytest.mark.slayer)])
def backend(request):
    """The name of a backend."""
    return request.param

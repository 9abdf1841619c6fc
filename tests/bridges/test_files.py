"""Files that the exporters of other frameworks wrote, with the spikes that the frameworks computed (``recording.py``).

``run.py`` writes them anew where the frameworks are installed. What is tested here needs none of them: under the
convention of its exporter, a file gives every recorded spike of every layer.
"""

import os
from functools import cache

import pytest
from bridges import run
from bridges.run import FILES, FRAMEWORKS, case, known, literal, unpack, variable, wrong_bits
from conventions import steps_of
from recognition import recognised

NAMES = [path.name.removesuffix(".nir.gz") for path in sorted(FILES.glob("*.nir.gz"))]
LEFT_OUT = {"sinabs_lif_tau_syn": 256, "sinabs_lif_min": 59, "rockpool_bias": 628, "rockpool_recurrent": 1834}
"""Values that differ because the exporter leaves out ``tau_syn``, ``min_v_mem``, a bias, recurrent weights."""
AS_NIR_SAYS = {"snntorch_rleaky_zero", "spikingjelly_plif"}
"""Files that mean what they say, to the bit."""
NOT_SAFE = {"norse_lif_export_dt"}
"""Files from which no rule tells the framework."""


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bridges")
    unpack(folder)
    return cache(lambda name: case(folder, name))


def test_every_framework_has_files_of_under_a_megabyte_in_all():
    assert {name.split("_")[0] for name in NAMES} == set(FRAMEWORKS)
    assert sum(path.stat().st_size for path in FILES.iterdir()) < 1_000_000


@pytest.mark.parametrize("name", NAMES)
def test_exporters_convention_gives_every_recorded_spike(stored, name):
    own = stored(name)
    assert sum(int(spikes.sum()) for spikes in own.spikes.values()) > 50
    assert wrong_bits(own, known(own.framework, own.facts, own.file)) == LEFT_OUT.get(name, 0)


def test_files_that_mean_what_they_say_are_few(stored):
    assert {name for name in NAMES if wrong_bits(stored(name), literal(stored(name))) == 0} == AS_NIR_SAYS


@pytest.mark.parametrize("name", NAMES)
def test_framework_is_recognised_from_names_and_parameters_or_not_at_all(stored, name):
    own = stored(name)
    assert recognised(own.file) == (None if name in NOT_SAFE else own.framework)


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("rockpool")])
def test_step_of_rockpool_is_in_its_gains(stored, name):
    own = stored(name)
    assert steps_of(own.file)["lambert"] == pytest.approx(own.facts["dt"], rel=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_installed_framework_still_means_the_same(tmp_path, monkeypatch, framework):
    if variable(framework) not in os.environ:
        pytest.skip(f"{variable(framework)} names no interpreter")
    monkeypatch.setattr(run, "FRAMEWORKS", (framework,))
    assert run.export(tmp_path) == {}
    written = [case(tmp_path, entry["name"]) for _, entry in run.listed(tmp_path) if not entry.get("empty_nodes")]
    wrong = {own.name: wrong_bits(own, known(framework, own.facts, own.file)) for own in written if own}
    assert len(wrong) > 9
    assert {name: bits for name, bits in wrong.items() if bits} == {n: b for n, b in LEFT_OUT.items() if n in wrong}

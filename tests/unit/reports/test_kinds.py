"""Reports of networks with messages that carry a payload: schema, tables, page and raster; and none of it for spikes."""

from __future__ import annotations

import html
import json
import re

import jsonschema
import numpy as np
import pytest
from building import chain, neuron, samples

from neurodeploy.chip import load_chip
from neurodeploy.costs.neurobench import neurobench_metrics
from neurodeploy.costs.pricing import estimate
from neurodeploy.engines.table import simulate
from neurodeploy.mapping.mapper import map_network
from neurodeploy.network import Cuba, Delta, Network, Sparse
from neurodeploy.proofs.compare import compare_activities
from neurodeploy.reports.facts import network_facts, raster_facts
from neurodeploy.reports.record import SCHEMA_FILE, checked
from neurodeploy.reports.text import component_name, sent_word
from neurodeploy.reports.writing import html_report, make_report, markdown_report, text_report

SCHEMA = json.loads(SCHEMA_FILE.read_text(encoding="utf-8"))


def sdnn() -> Network:
    one_each = Sparse(n_target=4, start=np.arange(5), target=np.arange(4), weights=np.ones(4, int))
    models = {"encoder": Delta(threshold=1), "hidden": neuron("sigma_delta"), "out": neuron("sigma")}
    layers = {"encoder": one_each, "hidden": 2 * np.arange(-9, 11).reshape(5, 4), "out": [[2, 0, 0, 4, 2]]}
    return chain(layers, models, graded=8, decoding="last_message")


def spiking(reset: str = "zero") -> Network:
    return chain({"hidden": [[90, 90]]}, Cuba(current_decay=1024, voltage_decay=128, threshold=100, reset=reset))


def report_of(network: Network, raster: np.ndarray) -> dict:
    given = samples(raster, graded=network.inputs[0].graded)
    mapping = map_network(network, load_chip("loihi2"))
    runs = [simulate(network, given, engine=e, labels=mapping.core_labels()) for e in ("event", "reference")]
    return make_report(
        title="a network",
        network=network_facts(network),
        costs=[estimate(network, mapping, runs[0], with_baselines=True)],
        verification=compare_activities(runs).to_json(),
        raster=raster_facts(network, runs[0]),
        neurobench=neurobench_metrics(network, runs[0]).to_json(),
    )


@pytest.fixture(scope="module")
def graded() -> dict:
    raster = np.array([[[40, 0, 7, 200], [40, 0, 7, 200], [0, 3, 7, 90]]])
    return report_of(sdnn(), raster)


@pytest.fixture(scope="module")
def plain() -> dict:
    return report_of(spiking(), np.ones((1, 4, 2), int))


def words(page: str) -> str:
    """Text of a page, without its pictures."""
    body = page[page.index("<main>") : page.index("</main>")]
    return html.unescape(
        re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", re.sub(r"<script.*?</script>", "", body, flags=re.S)))
    )


def test_it_fits_the_published_schema_and_is_read_back(graded: dict, plain: dict) -> None:
    for made in (graded, plain):
        jsonschema.validate(json.loads(json.dumps(made)), SCHEMA)
        assert checked(made).model_dump(mode="json", by_alias=True) == made


def test_a_report_of_spikes_holds_none_of_the_new_fields(plain: dict) -> None:
    assert "payload_bits" not in plain["network"]
    assert all("reset" not in layer for layer in plain["network"]["layers"])
    assert all("payload" not in layer for layer in plain["raster"]["layers"])
    assert "payloads" not in plain["targets"][0]


def test_network_facts_name_payloads_kinds_and_wires(graded: dict) -> None:
    facts = graded["network"]
    assert facts["payload_bits"] == {"in": 8}
    assert [layer["model"] for layer in facts["layers"]] == ["delta", "sigma_delta", "sigma"]
    assert [p["kind"] for p in facts["projections"]] == ["wires", "dense", "dense"]
    assert (facts["weights"], facts["nonzero"]) == (20 + 5, 19 + 3)


def test_a_reset_by_subtraction_is_a_fact_of_its_layer() -> None:
    made = report_of(spiking("subtract"), np.ones((1, 4, 2), int))
    assert made["network"]["layers"][0]["reset"] == "subtract"
    assert "Neurons: hidden cuba with reset by subtraction." in " ".join(text_report(made).split())


def test_the_raster_holds_the_payload_of_each_message(graded: dict) -> None:
    layers = {layer["name"]: layer for layer in graded["raster"]["layers"]}
    encoder = layers["encoder"]
    assert len(encoder["payload"]) == len(encoder["step"]) > 0
    assert min(encoder["payload"]) < 0 < max(encoder["payload"])
    assert layers["in"]["payload"] == [40, 7, 200, 40, 7, 200, 3, 7, 90]


def test_texts_speak_of_messages_and_their_payloads(graded: dict) -> None:
    for text in (text_report(graded, width=200), markdown_report(graded)):
        flat = " ".join(text.split())
        assert "messages differ between event, reference" in flat
        assert "payloads of messages, as sent in this run" in flat
        assert "Input in: payloads of 8 bits." in flat
        assert "Neurons: encoder delta, hidden sigma-delta, out sigma." in flat
        assert "synapses read, payload times weight (fc)" in flat
        assert "neurons updated (sigma-delta)" in flat
        assert "messages from the host" in flat
        assert "effective multiply-accumulates per sample" in flat
        assert "spikes" not in flat.replace("spikes that the host", "").replace("same spikes", "")


def test_texts_of_spikes_stay_as_they_were(plain: dict) -> None:
    flat = " ".join(text_report(plain).split())
    assert "spikes differ between event, reference" in flat
    assert "payload" not in flat
    assert "Neurons:" not in flat


def test_the_page_speaks_of_messages_too(graded: dict, plain: dict) -> None:
    pytest.importorskip("plotly", reason="needs plotly (extra report)")
    shown, before = words(html_report(graded)), words(html_report(plain))
    assert "Messages that differ" in shown
    assert "Messages of sample 0" in shown
    assert "Colour: sign of the payload" in shown
    assert "payloads of messages, as sent in this run" in shown
    assert "Spikes that differ" in before
    assert "Spikes of sample 0" in before
    assert "payload" not in before


def test_marks_of_the_raster_show_sign_and_size(graded: dict, plain: dict) -> None:
    pytest.importorskip("plotly", reason="needs plotly (extra report)")
    from neurodeploy.reports.pictures.charts import ACCENT, WARM, spike_raster

    traces = {trace.name: trace for trace in spike_raster(checked(graded).raster).data}
    encoder = next(layer for layer in graded["raster"]["layers"] if layer["name"] == "encoder")
    assert list(traces["encoder"].marker.color) == [ACCENT if p > 0 else WARM for p in encoder["payload"]]
    size = np.abs(encoder["payload"])
    assert np.argmax(traces["encoder"].marker.opacity) == np.argmax(size)
    assert max(traces["encoder"].marker.opacity) == 1.0
    assert traces["encoder"].hovertext[0].endswith(f": {encoder['payload'][0]:,}")
    colours = [trace.marker.color for trace in spike_raster(checked(plain).raster).data]
    assert colours == [ACCENT, WARM]


def test_a_component_that_nobody_sent_needs_no_marks() -> None:
    """A layer without a message in the sample has no payload, and no largest one."""
    from neurodeploy.reports.record import Raster, RasterLayer

    pytest.importorskip("plotly", reason="needs plotly (extra report)")
    from neurodeploy.reports.pictures.charts import spike_raster

    silent = RasterLayer(name="a", size=1, neurons=(0,), step=(), row=())
    loud = RasterLayer(name="b", size=1, neurons=(0,), step=(0,), row=(0,), payload=(-3,))
    assert len(spike_raster(Raster(sample=0, n_steps=1, layers=(silent, loud))).data) == 2


@pytest.mark.parametrize(
    ("component", "graded", "shown"),
    [
        ("synop.long_lists", False, "synapses read (long_lists)"),
        ("synop_graded.fc", True, "synapses read, payload times weight (fc)"),
        ("neuron_update_of.resonate_and_fire", False, "neurons updated (resonate-and-fire)"),
        ("updates_per_step.sdn_none", False, "passes of an update (sdn-none)"),
        ("spike_out", False, "neurons fired"),
        ("spike_out", True, "neurons that sent"),
        ("host_input", True, "messages from the host"),
    ],
)
def test_names_of_components(component: str, graded: bool, shown: str) -> None:
    assert component_name(component, graded=graded) == shown


def test_what_is_sent_follows_from_input_or_neurons(graded: dict, plain: dict) -> None:
    assert (sent_word(checked(graded).network), sent_word(checked(plain).network)) == ("messages", "spikes")
    behind = chain({"hidden": [[90, 90]]}, neuron("sigma"))
    assert sent_word(checked({**plain, "network": network_facts(behind)}).network) == "messages"

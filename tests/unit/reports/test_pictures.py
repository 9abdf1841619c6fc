"""Pictures of a mapping: every core, every message and every byte is in them, whatever the size."""

import re
import struct
import sys
import zlib
from base64 import b64decode
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from building import chain, neuron

from neurodeploy import commands
from neurodeploy.chip import Chip, load_chip
from neurodeploy.errors import FileError, MissingPackageError, UsageError
from neurodeploy.exchange.nir.write import to_nir
from neurodeploy.mapping.mapper import map_network
from neurodeploy.mapping.places.traffic import Traffic, count_traffic
from neurodeploy.mapping.record import Mapping
from neurodeploy.network import Network
from neurodeploy.reports.pictures.cores import LAYER, chips_in_use, core_places, fills, share, views
from neurodeploy.reports.pictures.mapping import draw_mapping, html_mapping, memory_by_format, svg_mapping
from neurodeploy.reports.pictures.svg import RAMP, STEPS, png, ramp, shade
from neurodeploy.reports.pictures.traffic import by_layer, traffic_piece

MODEL = neuron()
SVG = "{http://www.w3.org/2000/svg}"


def network(*sizes: int, density: float = 0.5) -> Network:
    """Layers in a row; the first is named so that a careless picture would break."""
    rng = np.random.default_rng(0)
    names = ["a <b> & c", *(f"layer{i}" for i in range(2, len(sizes)))]
    shapes = list(zip(sizes[1:], sizes))
    layers = {name: 2 * rng.integers(1, 64, s) * (rng.random(s) < density) for name, s in zip(names, shapes)}
    return chain(layers, MODEL, source="input")


def limited(chip: Chip, **limits: int) -> Chip:
    counts = {name: getattr(chip.cores, name).model_copy(update={"value": value}) for name, value in limits.items()}
    return chip.model_copy(update={"cores": chip.cores.model_copy(update=counts)})


SIZES = {
    "one": ((20, 5), "loihi2", {}),
    "five": ((30, 40, 10), "loihi1", {"neurons": 10}),
    "speck": ((12, 8, 4), "speck2f", {}),
    "boards": ((40, 300, 20), "nahuku32", {"neurons": 1}),
    "large": ((40, 1500, 20), "truenorth", {"neurons": 1, "destinations": 4000, "weight_values": 200}),
}


@pytest.fixture(scope="module", params=SIZES)
def drawn(request: pytest.FixtureRequest) -> tuple[Mapping, Traffic]:
    sizes, chip, limits = SIZES[request.param]
    net = network(*sizes, density=0.1 if request.param == "large" else 0.5)
    mapping = map_network(net, limited(load_chip(chip), **limits) if limits else load_chip(chip), split="equal")
    return mapping, count_traffic(net, mapping)


def test_svg_shows_every_core_once_in_each_view_and_every_layer(drawn: tuple[Mapping, Traffic]) -> None:
    mapping, flow = drawn
    root = ElementTree.fromstring(svg_mapping(mapping, flow))
    cells = [int(cell.get("data-core", "")) for cell in root.iter(f"{SVG}rect") if cell.get("data-core")]
    told = sum(view in ("fullest", LAYER) for view in views(mapping))
    assert sorted(cells) == sorted(list(range(len(mapping.cores))) * told)
    words = {"".join(text.itertext()) for text in root.iter(f"{SVG}text")}
    assert {name for name in mapping.sizes if len(name) < 14} <= words
    assert {view.replace("_", " ") for view in views(mapping) if view in mapping.limits} <= words


def test_page_fetches_nothing_and_holds_every_core_and_view(drawn: tuple[Mapping, Traffic]) -> None:
    mapping, flow = drawn
    page = html_mapping(mapping, flow)
    assert not re.search(r"""(?:src|href)\s*=\s*["'](?!data:)""", page)
    assert "http" not in page.replace("http://www.w3.org/2000/svg", "")
    found = Page()
    found.feed(page)
    assert sorted(found.cores) == list(range(len(mapping.cores)))
    assert found.script.count('"key"') == len(views(mapping))


class Page(HTMLParser):
    """The cores and the data of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.cores: list[int] = []
        self.script = ""
        self.inside = False

    def handle_starttag(self, _: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.inside = given.get("id") == "loads"
        if "data-core" in given:
            self.cores.append(int(given["data-core"] or ""))

    def handle_data(self, data: str) -> None:
        self.script += data if self.inside else ""


def test_names_from_the_network_cannot_break_the_picture() -> None:
    net = network(4, 3)
    mapping = map_network(net, load_chip("loihi2"))
    for text in (svg_mapping(mapping, count_traffic(net, mapping)), html_mapping(mapping, count_traffic(net, mapping))):
        assert "a <b>" not in text
        assert "a &lt;b&gt; &amp; c" in text


def test_colours_follow_the_used_share() -> None:
    net = network(30, 40, 10)
    mapping = map_network(net, limited(load_chip("loihi1"), neurons=10))
    full = [i for i, load in enumerate(mapping.cores) if load.used["neurons"] == 10]
    assert len(full) == 5
    assert {fills(mapping, "neurons")[i] for i in full} == {RAMP[-1]}
    words = mapping.cores[0].used["synapse_words"]
    assert share(mapping.cores[0], "synapse_words", mapping) == words / 16383
    assert share(mapping.cores[0], "fullest", mapping) == 1.0


def test_ramp_runs_from_the_first_to_the_last_colour_and_grows_darker() -> None:
    colours = ramp()
    assert (colours[0], colours[-1], len(colours)) == (RAMP[0], RAMP[-1], STEPS)
    light = [sum(int(c[i : i + 2], 16) for i in (1, 3, 5)) for c in colours]
    assert light == sorted(light, reverse=True)
    assert [shade(s) for s in (0.0, 0.5, 1.0)] == [0, STEPS // 2, STEPS - 1]


def test_cores_of_a_router_stand_together() -> None:
    """Loihi 1: four cores a router, routers numbered column by column on a mesh of 8 x 4."""
    places = core_places(load_chip("loihi1"))
    assert [(column, row) for column, row, *_ in places[:5]] == [(0, 0), (1, 0), (0, 1), (1, 1), (0, 2)]
    assert places[16][:2] == (2, 0)
    assert len({place[:2] for place in places}) == 128


@pytest.mark.parametrize("name", ["loihi2", "speck2f", "xylo_a2", "truenorth", "spinnaker2"])
def test_every_core_of_a_chip_has_a_place_of_its_own(name: str) -> None:
    chip = load_chip(name)
    assert len({place[:2] for place in core_places(chip)}) == chip.cores.count.value


def test_chips_without_a_used_core_are_left_out() -> None:
    net = network(40, 300)
    mapping = map_network(net, limited(load_chip("nahuku32"), neurons=1))
    assert chips_in_use(mapping) == [0, 1, 2]


def test_memory_by_format_adds_up_to_the_memory_of_the_mapping(drawn: tuple[Mapping, Traffic]) -> None:
    mapping, _ = drawn
    by_format = memory_by_format(mapping)
    assert {layer: sum(formats.values()) for layer, formats in by_format.items()} == mapping.layer_bytes()
    assert {name for formats in by_format.values() for name in formats} <= {f.name for f in mapping.chip.synapse_format}


def pixels(picture: str) -> np.ndarray:
    """Return the numbers of the colours of a PNG without filters."""
    data = b64decode(picture.partition(",")[2])
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    at, found = 8, {}
    while at < len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        name, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        assert struct.unpack(">I", data[at + 8 + length : at + 12 + length])[0] == zlib.crc32(name + body)
        found[name] = body
        at += 12 + length
    columns, rows = struct.unpack(">2I", found[b"IHDR"][:8])
    lines = np.frombuffer(zlib.decompress(found[b"IDAT"]), np.uint8).reshape(rows, columns + 1)
    assert not lines[:, 0].any()
    return lines[:, 1:]


def test_png_holds_the_numbers_it_was_given() -> None:
    shades = np.arange(12, dtype=np.uint8).reshape(3, 4)
    assert np.array_equal(pixels(png(shades, ramp())), shades)


def test_traffic_picture_has_a_pixel_for_each_pair_of_cores_that_talk() -> None:
    net = network(30, 40, 10)
    mapping = map_network(net, limited(load_chip("loihi1"), neurons=10))
    flow = count_traffic(net, mapping)
    host, between = (pixels(found) for found in re.findall(r'href="(data:[^"]*)"', traffic_piece(mapping, flow).body))
    order, groups = by_layer(mapping)
    assert groups == [("a <b> & c", 0, 4), ("layer2", 4, 5)]
    expected = flow.matrix[np.ix_(order, order)] > 0
    np.fill_diagonal(expected, False)
    assert np.array_equal(between > 0, expected)
    assert np.array_equal(host[0] > 0, flow.host[order] > 0)


def test_traffic_picture_tells_the_messages_between_cores() -> None:
    net = network(30, 40, 10)
    mapping = map_network(net, limited(load_chip("loihi1"), neurons=10))
    flow = count_traffic(net, mapping)
    told = re.findall(r"part \d+ to layer2, part 0: ([\d,]+) messages", traffic_piece(mapping, flow).body)
    assert sum(int(n.replace(",", "")) for n in told) == flow.messages


def test_more_cores_than_pixels_share_them(monkeypatch: pytest.MonkeyPatch) -> None:
    net = network(40, 300, 20)
    mapping = map_network(net, limited(load_chip("nahuku32"), neurons=1), split="equal")
    monkeypatch.setattr("neurodeploy.reports.pictures.traffic.PIXELS", 64)
    _, between = (
        pixels(p) for p in re.findall(r'href="(data:[^"]*)"', traffic_piece(mapping, count_traffic(net, mapping)).body)
    )
    assert between.shape == (64, 64)
    assert between.any()


def test_map_draws_what_the_ending_asks_for_and_keeps_files_without_force(tmp_path: Path) -> None:
    to_nir(network(4, 3), tmp_path / "net.nir")
    for name in ("map.svg", "map.html"):
        commands.map(tmp_path / "net.nir", chip="loihi2", draw=tmp_path / name)
        assert (tmp_path / name).read_text(encoding="utf-8").lstrip().startswith(("<svg", "<!doctype html>"))
        with pytest.raises(FileError, match=f"{name} exists; choose another --draw, or --force"):
            commands.map(tmp_path / "net.nir", chip="loihi2", draw=tmp_path / name)
        commands.map(tmp_path / "net.nir", chip="loihi2", draw=tmp_path / name, force=True)


def test_unknown_ending_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot draw .*map\.pdf: end it in \.html \(a page\) or \.svg"):
        commands.map(tmp_path / "absent.nir", chip="loihi2", draw=tmp_path / "map.pdf")


def test_page_without_jinja2_names_the_extra_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = network(4, 3)
    mapping = map_network(net, load_chip("loihi2"))
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(MissingPackageError, match=r"pip install 'neurodeploy-snn\[report\]', or draw an \.svg"):
        draw_mapping(mapping, count_traffic(net, mapping), tmp_path / "map.html")
    draw_mapping(mapping, count_traffic(net, mapping), tmp_path / "map.svg")
    assert [path.name for path in tmp_path.iterdir()] == ["map.svg"]

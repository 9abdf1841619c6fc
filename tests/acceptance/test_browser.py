"""Pages in a real browser: nothing is wider than the screen, and a report's first screen answers what people ask first."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from urllib.parse import unquote

import pytest
from building import ROOT

from neurodeploy import commands

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(BROWSER is None, reason="needs a browser: apt-get install chromium"),
]
NETWORK, SAMPLES = (ROOT / "tests" / "golden" / "commands" / f"digits.{kind}" for kind in ("nir", "npz"))
MEASURE = """
<script>setTimeout(() => {
  const seen = [...document.querySelectorAll("p, dt, dd, h3, .label, .figure, td")].filter(e => e.children.length == 0 ||
    e.matches(".figure, p, td")).map(e => [e.getBoundingClientRect().top, e.innerText]);
  const found = {wide: document.documentElement.scrollWidth, window: innerWidth, seen};
  document.body.innerHTML = `<pre id="found">${encodeURIComponent(JSON.stringify(found))}</pre>`;
}, 2500)</script></body>
"""


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """A report with a deadline, and the table over all chips."""
    pytest.importorskip("jinja2")
    pytest.importorskip("plotly")
    folder = tmp_path_factory.mktemp("pages")
    commands.report(
        NETWORK, data=SAMPLES, chips=["loihi1", "loihi2"], engines=["reference", "event"], deadline_s=1e-3, out=folder
    )
    commands.choose_chip(NETWORK, data=SAMPLES, deadline_s=1e-3, out=folder / "choice.html")
    return {"report": folder / "report.html", "choice": folder / "choice.html"}


def measured(page: Path, width: int) -> dict:
    """Return how wide a page is in a window of a width, and what stands where on it."""
    measuring = page.with_name(f"measured-{width}-{page.name}")
    before, _, after = page.read_text(encoding="utf-8").rpartition("</body>")
    measuring.write_text(before + MEASURE + after, encoding="utf-8")
    command = [BROWSER, "--headless=new", "--no-sandbox", "--virtual-time-budget=6000", "--dump-dom"]
    done = subprocess.run(
        [*command, f"--window-size={width},900", measuring.as_uri()],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return json.loads(unquote(re.search(r'<pre id="found">(.*?)</pre>', done.stdout)[1]))


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("name", ["report", "choice"])
def test_a_page_is_no_wider_than_the_window(pages, name, width):
    found = measured(pages[name], width)
    assert found["wide"] <= found["window"] <= max(width, 500)


@pytest.mark.parametrize("width", [1280, 390])
def test_the_first_screen_answers_fit_deadline_total_cost_accuracy_and_exactness(pages, width):
    seen = " | ".join(text for top, text in measured(pages["report"], width)["seen"] if top < 900)
    for answer in ("Deadline of 1 ms: ", "differ", "0 of ", "Accuracy", "whole chip", "Fits"):
        assert answer in re.sub(r"\s+", " ", seen), answer

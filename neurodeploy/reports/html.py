"""Self-contained HTML pages: jinja2 fills a template, plotly draws the pictures, and nothing is fetched from the network.

Every page extends ``page.html.j2``, which holds the style and the script that draws the pictures.
"""

from __future__ import annotations

from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup
from plotly import graph_objects as go
from plotly.offline import get_plotlyjs

from neurodeploy.costs.record import Cost
from neurodeploy.reports.figures import band, hours, kib, nominal, percent, si
from neurodeploy.reports.pictures import charts
from neurodeploy.reports.record import Report
from neurodeploy.reports.text import (
    against_ann,
    cost_sections,
    counted,
    first_difference,
    headline,
    left_out_words,
    operation_words,
    own_spikes,
    sections,
    sent_word,
    shares,
    verdict_line,
)


def render(template: str, **values: Any) -> str:
    """Return the page of a template (in ``templates/``) filled with ``values``, including the drawing script."""
    environment = Environment(
        loader=PackageLoader("neurodeploy.reports", "templates"),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        against_ann=against_ann, band=band, hours=hours, kib=kib, nominal=nominal, percent=percent, si=si
    )
    return environment.get_template(template).render(plotly=Markup(get_plotlyjs()), **values)


def page(report: Report) -> str:
    """Return the page of a report."""
    every = list(sections(report))
    shown = [section for section in every if section.title.startswith("Activity")]
    return render(
        "report.html.j2",
        report=report,
        sent=sent_word(report.network),
        headline=headline(report),
        own_spikes=own_spikes(report.verification) if report.verification else None,
        shares=shares(report.accuracy) if report.accuracy else "",
        measured_on=counted(report.accuracy.n_samples, steps=report.accuracy.steps) if report.accuracy else "",
        first_difference=first_difference(report),
        network=every[0],
        activity=shown,
        provenance=every[-1],
        targets=[_target(i, cost) for i, cost in enumerate(report.targets)],
        memory_chart=drawn("memory", charts.memory_by_layer(report.targets)) if report.targets else None,
        raster=drawn("raster", charts.spike_raster(report.raster)) if report.raster else None,
    )


def _target(index: int, cost: Cost) -> dict[str, Any]:
    """Return the values for one chip that the template shows."""
    several = cost.memory.cores_per_chip > 1
    pictures: dict[str, Markup] = {"map": drawn(f"map{index}", charts.core_map(cost.memory))} if several else {}
    if cost.energy is not None and cost.energy.total_j is not None:
        graded = bool(cost.payloads)
        pictures["energy"] = drawn(f"energy{index}", charts.energy_by_component(cost.energy, graded=graded))
        pictures["tornado"] = drawn(f"tornado{index}", charts.tornado(cost.energy, graded=graded))
    if cost.latency is not None:
        pictures["steps"] = drawn(f"steps{index}", charts.step_times(cost.latency))
    return {
        "cost": cost,
        "pictures": pictures,
        "sections": list(cost_sections(cost)),
        "verdicts": [(not v.fails, verdict_line(v)) for v in cost.verdicts],
        "chip": cost.total("chip"),
        "board": cost.total("board"),
        "board_lacks": left_out_words(cost, board) if (board := cost.total("board")) else "",
        "operation": operation_words(cost, total) if (total := cost.total("chip")) else "",
    }


def drawn(name: str, figure: go.Figure) -> Markup:
    """Return the HTML element of a picture with its data; the script at the end of the page draws the picture.

    The element has its height from the start, so that nothing moves when the picture is drawn.
    """
    place = Markup('<div class="plot" id="{}" style="height: {}px"></div>').format(name, figure.layout.height)
    data = Markup('<script type="application/json" data-plot="{}">').format(name)
    return place + data + Markup(charts.figure_json(figure)) + Markup("</script>")

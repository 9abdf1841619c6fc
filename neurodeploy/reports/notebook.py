"""What records show in a console and in a notebook: one line, a small table, a picture, and a table of pandas."""

from __future__ import annotations

import html as html_text
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from neurodeploy.chip import Chip
from neurodeploy.costs.record import Cost
from neurodeploy.errors import MissingPackageError, UsageError, needing
from neurodeploy.files.plain import read_text
from neurodeploy.mapping.record import Mapping as Placed
from neurodeploy.network import Network, n_nonzero
from neurodeploy.network.activity import Activity, Events, Samples
from neurodeploy.reports.figures import band, kib
from neurodeploy.reports.record import Report, checked

Facts: TypeAlias = dict[str, Any]
Rows: TypeAlias = list[dict[str, Any]]
_LONGEST, _MOST_ROWS = 300, 20


def one_line(thing: Any) -> str:
    """Return a record in one line of at most 400 characters."""
    facts = ", ".join(f"{name} {value}" for name, value in _of(_FACTS, thing)(thing).items())
    return f"<{type(thing).__name__}: {facts if len(facts) <= _LONGEST else facts[: _LONGEST - 3] + '...'}>"


def html_of(thing: Any) -> str:
    """Return a record as a small HTML table: its facts, and below them its rows."""
    facts = _of(_FACTS, thing)(thing)
    parts = [f"<b>{type(thing).__name__}</b>", _table([("", ""), *facts.items()][1:])]
    rows = _ROWS.get(type(thing).__name__)
    if rows is not None and (found := rows(thing)):
        shown = found[:_MOST_ROWS]
        parts.append(_table([row.values() for row in shown], list(shown[0])))
        parts += [f"<i>and {len(found) - len(shown):,} more</i>"] * (len(found) > len(shown))
    return "".join(parts)


def figure_of(thing: Any) -> Any:
    """Return the picture of a record as a plotly figure."""
    make = _of(_PICTURES, thing, "picture")
    with needing("plot", "report"):
        return make(thing)


def frame_of(thing: Any) -> Any:
    """Return the rows of a record as a table of pandas."""
    rows = _of(_ROWS, thing, "table")
    try:
        import pandas
    except ModuleNotFoundError as error:
        raise MissingPackageError("to_pandas: pandas is not installed; pip install pandas") from error
    return pandas.DataFrame(rows(thing))


def _of(table: Mapping[str, Callable[[Any], Any]], thing: Any, what: str = "short form") -> Callable[[Any], Any]:
    name = type(thing).__name__
    if name not in table:
        raise UsageError(f"{name} has no {what}; there is one of: {', '.join(table)}")
    return table[name]


def _table(rows: Iterable[Iterable[Any]], head: Iterable[str] = ()) -> str:
    def cells(tag: str, values: Iterable[Any]) -> str:
        inner = "".join(f"<{tag} style='text-align:left'>{html_text.escape(str(v))}</{tag}>" for v in values)
        return f"<tr>{inner}</tr>"

    titles = list(head)
    body = "".join(cells("td", row) for row in rows)
    return f"<table>{cells('th', titles) if titles else ''}{body}</table>"


def _network(network: Network) -> Facts:
    weights = sum(map(n_nonzero, network.projections))
    sizes = " - ".join(f"{size:,}" for size in network.sizes.values())
    return {"layers": sizes, "weights": f"{weights:,}", "step": f"{network.dt * 1e3:g} ms", "depth": network.depth}


def _populations(network: Network) -> Rows:
    return [
        {
            "name": name,
            "shape": " x ".join(map(str, network.shapes[name])),
            "kind": "input" if name in inputs else network.population(name).model.kind,
            "weights": sum(map(n_nonzero, network.into(name))),
        }
        for inputs in ({i.name for i in network.inputs},)
        for name in network.sizes
    ]


def _samples(samples: Samples) -> Facts:
    known = {} if samples.labels is None else {"classes": len(np.unique(samples.labels))}
    events = sum(len(e) for e in samples.inputs.values())
    sizes = ", ".join(f"{name} ({e.size:,})" for name, e in samples.inputs.items())
    return {
        "samples": f"{samples.n_samples:,}",
        "steps": samples.n_steps,
        "inputs": sizes,
        "events": f"{events:,}",
        **known,
    }


def _events(events: Events) -> Facts:
    return {"events": f"{len(events):,}", "channels": events.size, "steps": events.n_steps, "samples": events.n_samples}


def _event_rows(events: Events) -> Rows:
    columns = {"sample": events.sample, "step": events.step, "neuron": events.neuron}
    columns |= {} if events.payload is None else {"payload": events.payload}
    return [dict(zip(columns, map(int, row))) for row in zip(*columns.values())]


def _activity(activity: Activity) -> Facts:
    spikes = ", ".join(f"{name} {len(events):,}" for name, events in activity.spikes.items())
    return {
        "engine": activity.engine,
        "samples": f"{activity.n_samples:,}",
        "steps": activity.n_steps,
        "events": spikes,
    }


def _activity_rows(activity: Activity) -> Rows:
    return [
        {
            "name": name,
            "neurons": events.size,
            "events": len(events),
            "events a sample": len(events) / max(activity.n_samples, 1),
            "share of neurons that fire": len(np.unique(events.neuron)) / max(events.size, 1),
        }
        for name, events in activity.spikes.items()
    ]


def _mapping(mapping: Placed) -> Facts:
    return {
        "chip": mapping.chip.name,
        "cores": f"{len(mapping.cores)} on {mapping.n_chips} chip{'s' * (mapping.n_chips > 1)}",
        "synapses": kib(mapping.synaptic_bytes),
        "split": mapping.split,
    }


def _cores(mapping: Placed) -> Rows:
    return [
        {
            "chip": load.chip,
            "core": load.core,
            "neurons": sum(map(len, load.neurons.values())),
            "bytes of synapses": n_bytes,
            "layers": ", ".join(load.neurons),
            **load.used,
        }
        for load, n_bytes in zip(mapping.cores, mapping.core_bytes())
    ]


def _cost(cost: Cost) -> Facts:
    facts: Facts = {
        "chip": cost.chip_title,
        "cores": len(cost.memory.cores),
        "synapses": kib(cost.memory.synaptic_bytes),
    }
    if cost.energy is not None and cost.energy.total_j is not None:
        facts["dynamic energy a sample"] = band(cost.energy.total_j, "J")
    for boundary in ("chip", "board"):
        total = cost.total(boundary)
        if total is not None and getattr(total, "energy_j", None) is not None:
            facts[f"total energy a sample ({boundary})"] = band(total.energy_j, "J")
    if cost.latency is not None:
        facts["time a sample"] = band(cost.latency.sample_s.mean, "s")
    return facts


def _energy_rows(cost: Cost) -> Rows:
    if cost.energy is None:
        return []
    return [
        {
            "component": line.component,
            "events a sample": line.events / max(cost.n_samples, 1),
            "low (J)": line.energy_j.low,
            "nominal (J)": line.energy_j.nominal,
            "high (J)": line.energy_j.high,
            "grade": line.price_j.grade,
        }
        for line in cost.energy.lines
    ]


def _chip(chip: Chip) -> Facts:
    limits = ", ".join(f"{name} {value:,}" for name, value in chip.cores.limits.items())
    return {"name": chip.chip.name, "title": chip.chip.title, "cores": chip.cores.count.value, "of each core": limits}


def _report(report: Report) -> Facts:
    facts: Facts = {"title": report.title, "chips": ", ".join(cost.chip for cost in report.targets)}
    if report.accuracy is not None:
        facts["accuracy"] = f"{report.accuracy.test:.2%}"
    if report.verification is not None:
        facts["engines equal"] = report.verification.equal
    return facts


def _report_rows(report: Report) -> Rows:
    return [_cost(cost) for cost in report.targets]


def _as_report(facts: Facts) -> Report:
    return checked(dict(facts.get("report", facts)))


def _written(facts: Facts) -> Facts:
    files = facts["files"]
    return _report(_as_report(facts)) | {"written": files.get("report_html") or files["report_text"]}


def _proof(facts: Facts) -> Facts:
    return {
        "engines": ", ".join(facts["engines"]),
        "equal": "yes" if facts["equal"] else "no",
        "spikes": f"{facts['spikes_different']:,} of {facts['spikes_compared']:,} differ",
        "samples": facts["n_samples"],
    }


def _proof_rows(facts: Facts) -> Rows:
    return [
        {key: value for key, value in row.items() if not isinstance(value, dict | list)} for row in facts["populations"]
    ]


def _training(result: Any) -> Facts:
    facts = result if isinstance(result, dict) else asdict(result)
    return {
        "folder": facts["folder"],
        "best epoch": f"{facts['best_epoch']} of {facts['epochs']}",
        "validation accuracy": f"{facts['validation_accuracy']:.2%}",
        "seconds": f"{facts['seconds']:.0f}",
    }


def _epochs(result: Any) -> Rows:
    from neurodeploy.files.json_text import parse_json
    from neurodeploy.run_folder import METRICS_FILE

    folder = result["folder"] if isinstance(result, dict) else result.folder
    lines = read_text(Path(folder) / METRICS_FILE).splitlines()
    rows = [parse_json(line) for line in lines if line.strip()]
    return [{key: value for key, value in row.items() if not isinstance(value, dict | list)} for row in rows]


def _raster(activity: Activity) -> Any:
    from neurodeploy.reports.facts import raster_of
    from neurodeploy.reports.pictures.charts import spike_raster
    from neurodeploy.reports.record import Raster

    return spike_raster(Raster.model_validate(raster_of(activity)))


def _core_map(mapping: Placed) -> Any:
    from neurodeploy.costs.memory import count_memory
    from neurodeploy.reports.pictures.charts import core_map

    return core_map(count_memory(mapping))


def _energy_chart(cost: Cost) -> Any:
    from neurodeploy.reports.pictures.charts import core_map, energy_by_component

    if cost.energy is None:
        return core_map(cost.memory)
    return energy_by_component(cost.energy, graded=bool(cost.payloads))


def _curves(result: Any) -> Any:
    from neurodeploy.reports.pictures.charts import training_curves

    return training_curves(_epochs(result))


_FACTS: Mapping[str, Callable[[Any], Facts]] = {
    "Network": _network,
    "Samples": _samples,
    "Events": _events,
    "Activity": _activity,
    "Mapping": _mapping,
    "Cost": _cost,
    "Chip": _chip,
    "Report": _report,
    "ReportFacts": lambda facts: _report(_as_report(facts)),
    "WrittenReport": _written,
    "ProofFacts": _proof,
    "TrainingResult": _training,
    "TrainingFacts": _training,
}
_ROWS: Mapping[str, Callable[[Any], Rows]] = {
    "Network": _populations,
    "Events": _event_rows,
    "Activity": _activity_rows,
    "Mapping": _cores,
    "Cost": _energy_rows,
    "Report": _report_rows,
    "ReportFacts": lambda facts: _report_rows(_as_report(facts)),
    "WrittenReport": lambda facts: _report_rows(_as_report(facts)),
    "ProofFacts": _proof_rows,
    "TrainingResult": _epochs,
    "TrainingFacts": _epochs,
}
_PICTURES: Mapping[str, Callable[[Any], Any]] = {
    "Activity": _raster,
    "Mapping": _core_map,
    "Cost": _energy_chart,
    "TrainingResult": _curves,
    "TrainingFacts": _curves,
}

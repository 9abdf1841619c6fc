"""Sweeps: a grid of methods, densities, weight widths, chips and splits becomes a table and a Pareto front.

``plan.py`` reads ``sweep.toml``, ``stages.py`` holds the work of one point in three stages, ``store.py`` keeps what each
stage gave under the hash of what it read, ``run.py`` joins them, ``pareto.py`` finds front and knee, ``page.py`` shows them.
"""

from neurodeploy.sweeps.pareto import knee, pareto_front
from neurodeploy.sweeps.plan import Plan, Point, load_plan, parse_plan
from neurodeploy.sweeps.run import sweep

__all__ = ["Plan", "Point", "knee", "load_plan", "pareto_front", "parse_plan", "sweep"]

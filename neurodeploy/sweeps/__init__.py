"""Sweeps over a grid of methods, densities, weight widths, chips and splits, with a table and a Pareto front as results.

``plan.py`` reads ``sweep.toml``, ``stages.py`` holds the three stages of work for a point, ``store.py`` stores the result of
each stage under the hash of its input, ``run.py`` runs the stages of all points, ``results.py`` collects the results,
``pareto.py`` finds front and knee, ``page.py`` makes the page.
"""

from neurodeploy.sweeps.pareto import knee, pareto_front
from neurodeploy.sweeps.plan import Plan, Point, load_plan, parse_plan
from neurodeploy.sweeps.run import sweep

__all__ = ["Plan", "Point", "knee", "load_plan", "pareto_front", "parse_plan", "sweep"]

"""Tables of a network in a microcontroller's flash and its states in RAM: formats by rule, static bounds, and all bytes."""

from neurodeploy.tables.layout import Layout, PopulationPlan, State, Table, WirePlan, plan_tables
from neurodeploy.tables.rows import OPTIMIZE

__all__ = ["OPTIMIZE", "Layout", "PopulationPlan", "State", "Table", "WirePlan", "plan_tables"]

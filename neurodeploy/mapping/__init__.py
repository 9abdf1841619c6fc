"""Mapping of networks onto chips: populations are cut into parts that fit a core, and parts are given to cores.

A part must keep every limit of a core; its synaptic memory is counted exactly. ``map_network`` (``mapper.py``) returns a
``Mapping`` (``record.py``). What the neurons of a chip can do: ``abilities.py``; memory of a part on its core: ``memory/``;
ways to cut populations: ``cuts/``; places of parts and messages between cores: ``places/``; verdicts and remedies where a
network does not fit: ``fit/``; limits kept during training: ``budget/``; chips with fixed cores: ``fixed.py``; placements
made by other tools: ``manual.py``; the mapped network as a ``Network``: ``percore.py``; plain values for printing:
``summary.py``.
"""

from neurodeploy.mapping.mapper import SPLITS, map_network
from neurodeploy.mapping.places.assemble import PLACEMENTS
from neurodeploy.mapping.record import CoreLoad, Mapping, load_mapping, save_mapping

__all__ = ["PLACEMENTS", "SPLITS", "CoreLoad", "Mapping", "load_mapping", "map_network", "save_mapping"]

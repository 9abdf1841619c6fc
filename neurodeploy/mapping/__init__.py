"""Networks on chips: cut into core-sized parts under every limit at once, with the exact synaptic memory of each part.

``map_network`` (``mapper.py``) gives a ``Mapping`` (``record.py``). What a part takes of a core: ``memory/``; where
populations are cut: ``cuts/``; where parts lie, and the messages between them: ``places/``; does it fit, and what would
make it fit: ``fit/``; limits that training keeps: ``budget/``; placements from elsewhere: ``manual.py``.
"""

from neurodeploy.mapping.mapper import SPLITS, map_network
from neurodeploy.mapping.places.assemble import PLACEMENTS
from neurodeploy.mapping.record import CoreLoad, Mapping, load_mapping, save_mapping

__all__ = ["PLACEMENTS", "SPLITS", "CoreLoad", "Mapping", "load_mapping", "map_network", "save_mapping"]

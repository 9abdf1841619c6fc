"""Chip descriptions: a ``Chip`` holds a ``hardware/*.toml`` file as checked, frozen records.

Every number is a table that says where it comes from: ``{ value = .., unit = "..", source = "..", grade = ".." }``, or
a band with ``low``, ``nominal`` and ``high`` in place of ``value``. An unknown number is left out of the file and is
``None`` here, never 0. An unknown key is an error that lists the known keys.

A file may start with ``extends = "loihi1"``: it then holds only the differences from that file (another compiler's
limits, a board with more chips); tables are merged, lists replaced.

Numbers and grades: ``numbers.py``; tables: ``record.py``, those of microcontrollers ``microcontroller.py``; files and
folders: ``files.py``; synapse memory: ``synapse_format.py``, the rules that a format can name (``rules.py``), the exact
memory of given synapses (``layouts.py``) and upper bounds (``bounds.py``).
"""

from neurodeploy.chip.files import (
    ENTRY_POINTS,
    FOLDERS_VARIABLE,
    chip_folders,
    chip_from_dict,
    chip_names,
    load_chip,
    new_chip_text,
)
from neurodeploy.chip.microcontroller import Code, Microcontroller, Work
from neurodeploy.chip.numbers import MESSAGE_KINDS, PLAIN_KINDS, Amount, Count, Counts, Grade, Quantity
from neurodeploy.chip.record import PER_CORE, Chip, Cores, Energy, Latency, LayerCore, RecurrentCore
from neurodeploy.chip.rules import RULES
from neurodeploy.chip.synapse_format import SynapseFormat

__all__ = [
    "ENTRY_POINTS",
    "FOLDERS_VARIABLE",
    "MESSAGE_KINDS",
    "PER_CORE",
    "PLAIN_KINDS",
    "RULES",
    "Amount",
    "Chip",
    "Code",
    "Cores",
    "Count",
    "Counts",
    "Energy",
    "Grade",
    "Latency",
    "LayerCore",
    "Microcontroller",
    "Quantity",
    "RecurrentCore",
    "SynapseFormat",
    "Work",
    "chip_folders",
    "chip_from_dict",
    "chip_names",
    "load_chip",
    "new_chip_text",
]

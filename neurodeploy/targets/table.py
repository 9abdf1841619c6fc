"""``TARGETS``: one row for each thing that a network is written for, and ``write_target``, which writes any of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from neurodeploy.errors import UsageError
from neurodeploy.files.lazy import named_function
from neurodeploy.files.paths import as_path
from neurodeploy.mapping.record import Mapping
from neurodeploy.network import Network
from neurodeploy.network.activity import Activity


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What a network is written for, as ``module:function`` each, imported on first use.

    Attributes:
        title: its name in words.
        write: takes the network, what ``needs`` names in this order, the folder or file, and ``force``; writes all or
            nothing.
        needs: what ``write`` takes besides the network.
        check: takes the folder or file that was written, and returns in words what is wrong there, nothing where all is
            right; None: nothing can be checked.
        run: takes network, samples, ``probe`` and ``progress`` as an engine does (``engines.table.Engine``), writes and runs
            the target in a temporary folder and returns an ``Activity``, so that ``verify`` compares it; None: it cannot.
    """

    title: str
    write: str
    needs: tuple[Literal["mapping", "activity"], ...] = ()
    check: str | None = None
    run: str | None = None


TARGETS: dict[str, Target] = {
    "sanafe": Target(
        title="SANA-FE 2.2, a simulator of chips",
        write="neurodeploy.targets.sanafe.write:write_sanafe",
        needs=("mapping", "activity"),
        check="neurodeploy.targets.sanafe.check:check_sanafe",
    ),
    "netx": Target(title="lava-dl's .net file", write="neurodeploy.exchange.netx.write:to_netx"),
}
"""Targets by name."""


def find_target(name: str) -> Target:
    """Return the row of a target; raises ``UsageError`` with the known names where there is none."""
    if name not in TARGETS:
        raise UsageError(f"export: unknown target '{name}'; known: {', '.join(TARGETS)}")
    return TARGETS[name]


def write_target(
    name: str,
    network: Network,
    out: str | Path,
    *,
    mapping: Mapping | None = None,
    activity: Activity | None = None,
    force: bool = False,
) -> None:
    """Write a network for a target.

    Args:
        name: a name of ``TARGETS``.
        out: folder or file to write, as the target has it.
        mapping, activity: for targets that need them.
        force: replace what is there.

    Raises:
        UsageError: for an unknown target, or one that needs what is not given.
        FileError: where ``out`` exists and ``force`` is not set.
    """
    target = find_target(name)
    given = {"mapping": mapping, "activity": activity}
    missing = [need for need in target.needs if given[need] is None]
    if missing:
        raise UsageError(f"export: target '{name}' needs {' and '.join(missing)} besides the network")
    needed = [given[need] for need in target.needs]
    named_function(target.write)(network, *needed, as_path(out), force=force)


def check_target(name: str, out: str | Path) -> list[str]:
    """Return in words what is wrong with what was written for a target; empty where all is right.

    Raises:
        UsageError: for an unknown target, or one that has no check.
        MissingPackageError: where the check needs what is not installed.
    """
    target = find_target(name)
    if target.check is None:
        raise UsageError(f"export: nothing checks what is written for target '{name}'")
    return list(named_function(target.check)(as_path(out)))

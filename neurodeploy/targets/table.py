"""The table ``TARGETS`` of export targets, and the functions that write a network for a target and check the result."""

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
    """An export target. Its functions are given as ``module:function`` and imported on first use.

    Attributes:
        title: name of the target in words.
        write: function that takes the network, the arguments in ``needs`` in this order, the folder or file, and ``force``;
            writes all files or none.
        needs: further arguments of ``write`` besides the network.
        check: function that takes the folder or file that was written, and returns the faults found in words, empty if there
            are none; None if the target has no check.
        run: function that takes network, samples, ``probe`` and ``progress`` like an engine (``engines.table.Engine``),
            writes and runs the target in a temporary folder, and returns an ``Activity``, which ``verify`` compares with
            the engines; None if the target cannot be run.
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
"""The targets by name."""


def find_target(name: str) -> Target:
    """Return the entry of a target; raises ``UsageError`` with the known names if there is none."""
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
        name: a name in ``TARGETS``.
        out: folder or file to write, depending on the target.
        mapping, activity: for targets that need them.
        force: replace existing files.

    Raises:
        UsageError: for an unknown target, or if an argument that the target needs is missing.
        FileError: if ``out`` exists and ``force`` is not set.
    """
    target = find_target(name)
    given = {"mapping": mapping, "activity": activity}
    missing = [need for need in target.needs if given[need] is None]
    if missing:
        raise UsageError(f"export: target '{name}' needs {' and '.join(missing)} besides the network")
    needed = [given[need] for need in target.needs]
    named_function(target.write)(network, *needed, as_path(out), force=force)


def check_target(name: str, out: str | Path) -> list[str]:
    """Return in words the faults in the files written for a target; empty if there are none.

    Raises:
        UsageError: for an unknown target, or a target without a check.
        MissingPackageError: if the check needs a package that is not installed.
    """
    target = find_target(name)
    if target.check is None:
        raise UsageError(f"export: nothing checks what is written for target '{name}'")
    return list(named_function(target.check)(as_path(out)))

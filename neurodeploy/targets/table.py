"""The table ``TARGETS`` of export targets, and the functions that write a network for a target and check the result."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from neurodeploy.errors import UsageError
from neurodeploy.files.lazy import named_function
from neurodeploy.files.paths import as_path

if TYPE_CHECKING:
    from neurodeploy.mapping.record import Mapping
    from neurodeploy.network import Network
    from neurodeploy.network.activity import Activity, Samples


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """An export target. Its functions are given as ``module:function`` and imported on first use.

    Attributes:
        title: name of the target in words.
        write: function that takes the network, the arguments in ``needs`` in this order, the folder or file, those in
            ``settings`` by name, and ``force``; writes all files or none.
        needs: further arguments of ``write`` besides the network.
        settings: settings that ``write`` takes by name, each with a default.
        ready: function that takes network, folder or file, and ``force``, and refuses what ``write`` would refuse, so that
            nothing runs first; None if only ``write`` can tell.
        facts: function that takes the network and the settings, and returns plain values about what is written.
        check: function that takes the folder or file that was written, and returns the faults found in words, empty if there
            are none; None if the target has no check.
        run: function that takes network, samples, ``n_steps``, ``probe`` and ``progress`` like an engine
            (``engines.table.Engine``), writes and runs the target in a temporary folder, and returns an ``Activity``, which
            ``verify`` compares with the engines; None if the target cannot be run.
        run_at: like ``run``, with the name of a place after the samples, as in ``c:cortex-m4``; it returns an object with an
            ``activity`` and with ``to_json()``, which says what else was measured there.
        place: function that takes the name of a place and refuses it where ``run_at`` cannot run there.
        sources: function that takes the network and returns the SHA-256 of each file of code that ``run`` compiles.
    """

    title: str
    write: str
    needs: tuple[Literal["mapping", "activity"], ...] = ()
    settings: tuple[str, ...] = ()
    ready: str | None = None
    facts: str | None = None
    check: str | None = None
    run: str | None = None
    run_at: str | None = None
    place: str | None = None
    sources: str | None = None


TARGETS: dict[str, Target] = {
    "c": Target(
        title="C99 for microcontrollers",
        write="neurodeploy.targets.c.write:write_c",
        settings=("optimize",),
        ready="neurodeploy.targets.c.write:check_ready",
        facts="neurodeploy.targets.c.write:describe",
        check="neurodeploy.targets.c.write:check_c",
        run="neurodeploy.targets.c.host:run_c",
        run_at="neurodeploy.targets.c.emulation:emulate",
        place="neurodeploy.targets.c.cores:require_tools",
        sources="neurodeploy.targets.c.write:source_hashes",
    ),
    "sanafe": Target(
        title="SANA-FE 2.2, a simulator of chips",
        write="neurodeploy.targets.sanafe.write:write_sanafe",
        needs=("mapping", "activity"),
        ready="neurodeploy.targets.sanafe.write:check_ready",
        facts="neurodeploy.targets.sanafe.write:describe",
        check="neurodeploy.targets.sanafe.check:check_sanafe",
    ),
    "netx": Target(title="lava-dl's .net file", write="neurodeploy.exchange.netx.write:to_netx"),
}
"""The targets by name."""


def runnable() -> list[str]:
    """Return the names of the targets that run a network."""
    return [name for name, target in TARGETS.items() if target.run is not None]


def is_runnable(engine: str) -> bool:
    """Return whether ``engine`` names a target that runs, with or without a place: ``c`` or ``c:cortex-m4``.

    Raises:
        UsageError, MissingPackageError: for a place that is unknown, or where it lacks a tool.
    """
    name, _, place = engine.partition(":")
    if name not in runnable():
        return False
    target = TARGETS[name]
    if ":" not in engine:
        return True
    if target.run_at is None or target.place is None:
        raise UsageError(f"target '{name}' runs on this machine alone; write {name} for '{engine}'")
    named_function(target.place)(place)
    return True


def run_target(
    engine: str,
    network: Network,
    samples: Samples,
    *,
    n_steps: int | None = None,
    probe: Sequence[tuple[str, str]] = (),
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Activity, dict[str, Any]]:
    """Run a target that ``is_runnable``; return the activity, and what a proof says of the run beside it.

    The second has the hashes of the sources that were compiled (``sources``), and what was measured at a place.
    """
    name, _, place = engine.partition(":")
    target = TARGETS[name]
    options: dict[str, Any] = {"probe": probe, "progress": progress}
    if n_steps is not None:
        options["n_steps"] = n_steps
    if place:
        done = named_function(str(target.run_at))(network, samples, place, **options)
        return done.activity, dict(done.to_json())
    activity: Activity = named_function(str(target.run))(network, samples, **options)
    return activity, {} if target.sources is None else {"sources": named_function(target.sources)(network)}


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
    settings: dict[str, Any] | None = None,
    force: bool = False,
) -> None:
    """Write a network for a target.

    Args:
        name: a name in ``TARGETS``.
        out: folder or file to write, depending on the target.
        mapping, activity: for targets that need them.
        settings: settings of the target by name.
        force: replace existing files.

    Raises:
        UsageError: for an unknown target or setting, or if an argument that the target needs is missing.
        FileError: if ``out`` exists and ``force`` is not set.
    """
    target = find_target(name)
    given = {"mapping": mapping, "activity": activity}
    missing = [need for need in target.needs if given[need] is None]
    if missing:
        raise UsageError(f"export: target '{name}' needs {' and '.join(missing)} besides the network")
    check_settings(name, settings or {})
    needed = [given[need] for need in target.needs]
    named_function(target.write)(network, *needed, as_path(out), **(settings or {}), force=force)


def check_settings(name: str, settings: dict[str, Any]) -> None:
    """Refuse settings that a target does not have.

    Raises:
        UsageError: names the first, and the targets that have it.
    """
    target = find_target(name)
    for setting in settings:
        if setting not in target.settings:
            having = ", ".join(other for other, row in TARGETS.items() if setting in row.settings) or "none"
            raise UsageError(f"export: target '{name}' has no setting '{setting}'; targets with it: {having}")


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

"""Programs for a processor: built with GCC, measured from the linker's map, and run under QEMU."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from neurodeploy.errors import FitError, SimulationError
from neurodeploy.targets.c.cores import find_core, require_tools

BOARDS = Path(__file__).with_name("boards")
"""Folder of start-up code, semihosting and the linker's script."""
OPTIMISE = ("-O2", "-std=c99", "-ffreestanding", "-ffunction-sections", "-fdata-sections")
WARNINGS = ("-Wall", "-Wextra", "-Werror", "-pedantic")

_SECTION = re.compile(r"^ (\.[\w.$]+|COMMON)\s+0x([0-9a-f]+)\s+0x([0-9a-f]+)\s+(\S+)$", re.MULTILINE)
_OVERFULL = re.compile(r"region `(FLASH|RAM)' overflowed by (\d+) bytes")
_FLASH, _RAM = (".text", ".rodata", ".srodata", ".data", ".sdata"), (".data", ".sdata", ".bss", ".sbss", "COMMON")


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """Bytes of flash (code and constants) and RAM that some files take in a linked program."""

    flash: int
    ram: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Program:
    """A linked program and the size of each section: ``(file, section) -> bytes``."""

    core: str
    elf: Path
    sections: dict[tuple[str, str], int]

    def size(self, files: Sequence[str]) -> Size:
        """Return the bytes that files take, given by the names of their objects or archives (``network.o``)."""
        own = [(section, n) for (file, section), n in self.sections.items() if file in files]
        return Size(
            flash=sum(n for section, n in own if section.startswith(_FLASH)),
            ram=sum(n for section, n in own if section.startswith(_RAM)),
        )


def build_program(
    core: str, sources: Sequence[Path], folder: Path, include: Sequence[Path] = (), options: Sequence[str] = ()
) -> Program:
    """Compile sources for a processor, link them with its start-up code, and measure the result.

    Args:
        core: a name in ``CORES``.
        sources: C files; one of them has ``main``.
        folder: where objects, the program and the linker's map go.
        include: folders of headers.
        options: further arguments of the compiler.

    Raises:
        MissingPackageError: where compiler or emulator are not installed.
        FitError: where the program is larger than a memory of the board.
        SimulationError: where the compiler or the linker refuse; holds what they said.
    """
    require_tools(core)
    made = find_core(core)
    headers = [f"-I{path}" for path in (BOARDS, *include)]
    objects = []
    for source in (*sources, BOARDS / "semihost.c", BOARDS / made.start):
        out = folder / f"{source.stem}.o"
        # the boards' own code has assembly that strict C99 does not know
        own = WARNINGS if source.parent != BOARDS else ("-fno-tree-loop-distribute-patterns",)
        _call([made.tools[0], *made.flags, *OPTIMISE, *own, *options, *headers, "-c", str(source), "-o", str(out)])
        objects.append(str(out))
    script, elf, found = folder / "link.ld", folder / "program.elf", folder / "program.map"
    script.write_text(_memory(made.flash, made.ram) + (BOARDS / "link.ld").read_text())
    linked = ["-nostdlib", "-T", str(script), "-Wl,--gc-sections", "-Wl,--no-warn-rwx-segments", f"-Wl,-Map={found}"]
    _call([made.tools[0], *made.flags, *linked, *objects, "-lgcc", "-o", str(elf)], core)
    return Program(core=core, elf=elf, sections=read_map(found.read_text()))


def _memory(flash: tuple[int, int], ram: tuple[int, int]) -> str:
    return (
        f"MEMORY {{ FLASH (rx) : ORIGIN = {flash[0]:#x}, LENGTH = {flash[1]} "
        f"RAM (rwx) : ORIGIN = {ram[0]:#x}, LENGTH = {ram[1]} }}\n"
    )


def _call(command: list[str], core: str = "") -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return
    over = _OVERFULL.search(done.stderr)
    if over is not None and core:
        made = find_core(core)
        limit = made.flash[1] if over[1] == "FLASH" else made.ram[1]
        resource, used = f"{over[1].lower()}_bytes", limit + int(over[2])
        raise FitError(
            f"c: the network needs {used:,} bytes of {over[1]}, but the emulated board '{made.machine}' of '{core}' has "
            f"{limit:,}; choose another processor, or make the network smaller",
            {"layer": "the network", "core": 0, "resource": resource, "used": used, "limit": limit},
        )
    raise SimulationError(f"c: {Path(command[0]).name} failed: {done.stderr.strip()[-2000:]}")


def read_map(text: str) -> dict[tuple[str, str], int]:
    """Return the bytes of each file's sections in a linker's map: ``(file, section) -> bytes``, discarded ones left out."""
    kept = text.partition("Linker script and memory map")[2]
    kept = re.sub(r"^( (?:\.[\w.$]+|COMMON))\n\s+", r"\1 ", kept, flags=re.MULTILINE)
    found: dict[tuple[str, str], int] = {}
    for section, _, size, file in _SECTION.findall(kept):
        name = Path(file.partition("(")[0]).name
        found[name, section] = found.get((name, section), 0) + int(size, 16)
    return found


def run_program(program: Program, folder: Path, timeout_s: float) -> None:
    """Run a program under QEMU; it reads and writes files of ``folder``.

    Raises:
        SimulationError: where it fails, or takes longer than ``timeout_s``.
    """
    made = find_core(program.core)
    command = [
        made.tools[1], "-M", made.machine, "-icount", f"shift={made.shift}", *(["-bios", "none"] if made.shift == 0 else []),
        "-nographic", "-monitor", "none", "-serial", "none", "-semihosting-config", "enable=on,target=native",
        "-kernel", str(program.elf),
    ]  # fmt: skip
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout_s,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired as error:
        raise SimulationError(
            f"c: the program on '{program.core}' did not end in {timeout_s:.0f} s; give fewer samples"
        ) from error
    if done.returncode:
        why = "the processor ran into a fault" if done.returncode == 99 else f"status {done.returncode}"
        raise SimulationError(f"c: the program on '{program.core}' failed ({why}) {done.stderr.strip()[-500:]}")

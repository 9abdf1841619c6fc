"""The table ``CORES`` of processors that a C program is built and run for, and the tools that each needs.

Boards and their memories are those of QEMU 7.2; ``docs/microcontrollers.md`` says how instructions are counted.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass

from neurodeploy.errors import MissingPackageError, UsageError

ARM = ("arm-none-eabi-gcc", "qemu-system-arm")
RISCV = ("riscv64-unknown-elf-gcc", "qemu-system-riscv32")
PACKAGES = {
    "arm-none-eabi-gcc": "gcc-arm-none-eabi",
    "qemu-system-arm": "qemu-system-arm",
    "riscv64-unknown-elf-gcc": "gcc-riscv64-unknown-elf",
    "qemu-system-riscv32": "qemu-system-misc",
}
"""Debian's package of each tool."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Core:
    """A processor, the compiler's flags for it, and the board that QEMU emulates it on.

    Attributes:
        tools: compiler and emulator.
        flags: what the compiler is told about the processor.
        start: file of ``boards/`` with the start-up code.
        machine: QEMU's board.
        shift: of QEMU's ``-icount``: an instruction takes ``2 ** shift`` nanoseconds of the board's time.
        flash, ram: address and bytes of the board's memories.
    """

    title: str
    tools: tuple[str, str]
    flags: tuple[str, ...]
    start: str
    machine: str
    shift: int
    flash: tuple[int, int]
    ram: tuple[int, int]


def _arm(cpu: str, machine: str, flash: tuple[int, int], ram: tuple[int, int]) -> Core:
    return Core(
        title="Arm " + cpu.replace("cortex-m", "Cortex-M"),
        tools=ARM,
        flags=(f"-mcpu={cpu}", "-mthumb", "-mfloat-abi=soft"),
        start="start_arm.c",
        machine=machine,
        shift=6,
        flash=flash,
        ram=ram,
    )


_K, _M = 1 << 10, 1 << 20
CORES: dict[str, Core] = {
    "cortex-m0": _arm("cortex-m0", "microbit", (0, 256 * _K), (0x20000000, 16 * _K)),
    "cortex-m3": _arm("cortex-m3", "mps2-an385", (0, 4 * _M), (0x20000000, 4 * _M)),
    "cortex-m4": _arm("cortex-m4", "mps2-an386", (0, 4 * _M), (0x20000000, 4 * _M)),
    "cortex-m7": _arm("cortex-m7", "mps2-an500", (0, 4 * _M), (0x20000000, 4 * _M)),
    "cortex-m33": _arm("cortex-m33", "mps2-an505", (0x10000000, 4 * _M), (0x38000000, 4 * _M)),
    "cortex-m55": _arm("cortex-m55", "mps3-an547", (0, 512 * _K), (0x01000000, 1 * _M)),
    "rv32imc": Core(
        title="RISC-V RV32IMC",
        tools=RISCV,
        flags=("-march=rv32imc_zicsr", "-mabi=ilp32", "-mno-relax"),
        start="start_riscv.c",
        machine="virt",
        shift=0,
        flash=(0x80000000, 32 * _M),
        ram=(0x82000000, 32 * _M),
    ),
}
"""The processors by name."""


def find_core(name: str) -> Core:
    """Return a processor of ``CORES``.

    Raises:
        UsageError: for an unknown name; lists the known ones.
    """
    if name not in CORES:
        raise UsageError(f"c: there is no processor '{name}'; known: {', '.join(CORES)}")
    return CORES[name]


def missing_tools(name: str) -> list[str]:
    """Return the tools of a processor that are not installed."""
    return [tool for tool in find_core(name).tools if shutil.which(tool) is None]


def needed_tools(name: str) -> str:
    """Return the line that installs the tools of a processor on Debian and Ubuntu."""
    return "apt-get install " + " ".join(PACKAGES[tool] for tool in find_core(name).tools)


def require_tools(name: str) -> None:
    """Refuse to go on without compiler and emulator.

    Raises:
        MissingPackageError: names what is missing, and the line that installs it.
    """
    if missing := missing_tools(name):
        raise MissingPackageError(f"c: {' and '.join(missing)} for '{name}' not found; {needed_tools(name)}")

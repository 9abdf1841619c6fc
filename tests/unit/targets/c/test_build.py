"""Programs on emulated processors: built, measured from the linker's map, run, and counted against a loop."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from emulated import every_core, m4

from neurodeploy.errors import FitError, MissingPackageError, SimulationError, UsageError
from neurodeploy.targets.c.build import build_program, read_map, run_program
from neurodeploy.targets.c.cores import find_core, require_tools

LOOPS = """\
#include "board.h"
int main(void)
{
    uint32_t found[3], in[2];
    int from = board_open("in.bin", BOARD_READ), to = board_open("out.bin", BOARD_WRITE), k;
    if (from < 0 || to < 0 || board_read(from, in, sizeof in))
        return 1;
    for (k = 0; k < 2; k++) {
        uint32_t n = in[k];
        board_count_start();
        BOARD_LOOP(n);
        found[k] = board_count();
    }
    found[2] = in[0] + in[1];
    return board_write(to, found, sizeof found);
}
"""
DATA = """\
#include <stdint.h>
const uint8_t table[{n}] = {{1}};
uint8_t state[{n}];
int main(void) {{ return table[state[0]] - 1; }}
"""


def source(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "main.c"
    file.write_text(text)
    return file


@every_core
def test_a_program_reads_and_writes_files_and_its_count_grows_by_the_instructions_of_a_loop(
    name: str, tmp_path: Path
) -> None:
    np.array([10_000, 30_000], "<u4").tofile(tmp_path / "in.bin")
    run_program(build_program(name, [source(tmp_path, LOOPS)], tmp_path), tmp_path, 60)
    first, second, added = np.fromfile(tmp_path / "out.bin", "<u4").tolist()
    assert added == 40_000
    ticks = (second - first) / 40_000  # 20,000 turns of two instructions
    expected = {"microbit": 1.024, "mps2-an505": 1.28, "mps3-an547": 2.048, "virt": 1.0}
    assert ticks == pytest.approx(expected.get(find_core(name).machine, 1.6), rel=1e-3)


@m4
def test_flash_and_ram_of_a_file_are_those_of_its_sections(name: str, tmp_path: Path) -> None:
    small, large = (
        build_program(name, [source(tmp_path, DATA.format(n=n))], tmp_path).size(["main.o"]) for n in (100, 1100)
    )
    assert (large.flash - small.flash, large.ram - small.ram) == (1000, 1000)
    assert small.ram == 100


@m4
@pytest.mark.parametrize("n", [4 << 20, 5 << 20])
def test_a_program_beyond_a_memory_is_refused_with_memory_and_limit(name: str, n: int, tmp_path: Path) -> None:
    with pytest.raises(
        FitError, match=r"needs [0-9,]+ bytes of RAM, but .*'mps2-an386' of 'cortex-m4' has 4,194,304"
    ) as e:
        build_program(name, [source(tmp_path, f"char state[{n}]; int main(void) {{ return state[0]; }}")], tmp_path)
    assert e.value.binding is not None
    assert (e.value.binding["resource"], e.value.binding["limit"]) == ("ram_bytes", 4 << 20)
    assert int(e.value.binding["used"]) >= n


@m4
def test_what_the_compiler_says_is_passed_on(name: str, tmp_path: Path) -> None:
    with pytest.raises(SimulationError, match="arm-none-eabi-gcc failed: [^|]*'unknown' undeclared"):
        build_program(name, [source(tmp_path, "int main(void) { return unknown; }")], tmp_path)


@m4
def test_a_fault_of_the_program_is_an_error(name: str, tmp_path: Path) -> None:
    fault = "int main(void) { return *(volatile int *)0xfffffff0; }"
    with pytest.raises(SimulationError, match="ran into a fault"):
        run_program(build_program(name, [source(tmp_path, fault)], tmp_path), tmp_path, 20)


@m4
def test_a_program_without_end_is_stopped(name: str, tmp_path: Path) -> None:
    program = build_program(name, [source(tmp_path, "int main(void) { for (;;) { } }")], tmp_path)
    with pytest.raises(SimulationError, match="did not end in 1 s; give fewer samples"):
        run_program(program, tmp_path, 1)


def test_a_map_counts_what_was_linked_and_not_what_was_thrown_away() -> None:
    text = """Discarded input sections

 .text.never    0x00000000       0x40 build/network.o

Linker script and memory map

 .text.step     0x00000100       0x20 build/network.o
 .rodata.a_rather_long_name
                0x00000120       0x10 build/network.o
 .text          0x00000130        0x8 gcc/libgcc.a(_divdi3.o)
 *fill*         0x00000138        0x8
"""
    assert read_map(text) == {
        ("network.o", ".text.step"): 0x20,
        ("network.o", ".rodata.a_rather_long_name"): 0x10,
        ("libgcc.a", ".text"): 8,
    }


def test_an_unknown_processor_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match="no processor 'z80'; known: cortex-m0, .*rv32imc"):
        find_core("z80")


def test_missing_tools_are_named_with_the_line_that_installs_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda tool: None if "qemu" in tool else tool)
    with pytest.raises(
        MissingPackageError,
        match="qemu-system-riscv32 for 'rv32imc' not found; apt-get install gcc-riscv64-unknown-elf qemu-system-misc",
    ):
        require_tools("rv32imc")

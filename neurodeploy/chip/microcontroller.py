"""Microcontrollers: memories, clock and energy of a part, and what generated C takes on its core.

A part's file (``hardware/stm32l4r5.toml``) extends the file of its core (``hardware/cores/cortex-m4.toml``), which holds the
numbers of instructions. They were counted in emulation and fitted (``targets/c/predictions.py``);
``docs/microcontrollers.md`` has the method and the errors.
"""

from __future__ import annotations

from pydantic import Field

from neurodeploy.chip.numbers import Amount, Count, Cycles, Hertz, Instructions, Joules, Table


class Microcontroller(Table):
    """A part: its core, memories, clock, and the energy of an instruction of the whole device."""

    core: str
    """Name of the core, as ``verify --engines c:CORE`` takes it."""
    flash: Count
    """Flash for code and tables, in bytes."""
    ram: Count
    """RAM, in bytes."""
    clock: Hertz
    """Highest clock that the data sheet allows."""
    cycles_per_instruction: Cycles
    """Mean over a program; flash that makes the core wait is in the high figure."""
    instruction: Joules | None = None
    """Energy of an instruction at this clock, of the whole device."""
    dense_mac: Instructions
    """Instructions for one multiply-accumulate of a dense layer of int8, by the library that the vendors use."""
    dense_neuron: Instructions
    """Instructions for one output of such a layer, on top."""


class Work(Table):
    """Instructions of a step of the generated C: each number is what one thing of that kind takes."""

    step: Instructions
    """Calling the step."""
    population: Instructions
    """A population, beside its neurons."""
    neuron: Instructions
    """A neuron that is left as it is, since its state is 0."""
    updated: Instructions
    """A neuron that is updated, on top."""
    wide: Instructions
    """A decay of an updated neuron in 64 bits, on top."""
    limited: Instructions
    """A state of an updated neuron that is kept inside 24 bits, on top."""
    spike: Instructions
    """A neuron fires."""
    event: Instructions
    """An event is sent along a projection: finding its row."""
    tap: Instructions
    """A tap of a kernel reaches into the output: finding its row."""
    summed: Instructions
    """A sum of a neuron is handed on."""
    entry: dict[str, Instructions] = Field(default_factory=dict)
    """A synapse, stored zero or filler is read, by format (``tables.rows.Format``), and ``pool``."""


class Code(Table):
    """Bytes of the generated code in flash, as GCC compiles it with ``-O2``: each number is what one thing takes."""

    base: Amount
    """Reset, step and classify without any population."""
    population: Amount
    """A population: its call, and the loop over its spikes."""
    update: Amount
    """A function that updates neurons."""
    odd: Amount
    """The neurons that are left over beside its rounds."""
    wide: Amount
    """A decay in 64 bits there."""
    limited: Amount
    """A state that is kept inside 24 bits there."""
    summed: Amount
    """A projection whose sums are handed on."""
    add: dict[str, Amount] = Field(default_factory=dict)
    """A function that adds a row, by format."""
    wire: dict[str, Amount] = Field(default_factory=dict)
    """A projection: ``matrix``, ``pool``, or a convolution by format, as ``conv_rows``."""

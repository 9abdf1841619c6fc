"""The fixed parts of the C code: header, source, an example with ``main``, a CMake file and a sketch for Arduino."""

from __future__ import annotations

HEADER = """\
/*
 * A spiking network in integers, written by neurodeploy {version}.
 *
 * Every spike is that of the network {fingerprint}.
 * The code needs no library: no memory allocation, no floats, no libc. All state of an instance lies in a struct
 * that the caller owns; constants are shared. So several instances run side by side, and functions may be called
 * from several threads or interrupts, as long as no two calls use the same instance at once.
 *
 *     static network net;
 *     network_index spikes[NETWORK_OUTPUTS];
 *     network_reset(&net);
 *     for (each step) {{
 *         n = network_step(&net, events, 0, n_events, spikes);
 *         ... n output neurons spiked: spikes[0] to spikes[n - 1] ...
 *     }}
 *     class = network_classify(&net, 0);
 *
 * A spike that is sent in step t arrives in step t + 1 or later, so a sample of T steps needs T + NETWORK_DEPTH steps
 * until its last events have reached the output.
 */
#ifndef NETWORK_H
#define NETWORK_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {{
#endif

#define NETWORK_INPUTS {n_inputs}u /* channels of all inputs */
#define NETWORK_OUTPUTS {n_outputs}u /* neurons of all outputs: most spikes that a step returns */
#define NETWORK_CLASSES {n_classifiers}u /* outputs that network_classify reads */
#define NETWORK_DEPTH {depth}u /* steps from an input event to the deepest population */
#define NETWORK_STATE_BYTES {state_bytes}u /* RAM of an instance */
#define NETWORK_TABLE_BYTES {table_bytes}u /* flash of all tables */
{numbers}
/* number of a channel of the inputs, or of a neuron of the outputs */
typedef {index} network_index;

/* a neuron: u is the current, which has decayed for the next step and collects what arrives there; v the voltage */
typedef struct {{
    int32_t u, v;
}} network_cell;

/* the state of an instance; its fields are no part of the interface */
typedef struct {{
{fields}}} network;

/* Puts an instance to the state before the first step. */
void network_reset(network *net);

/*
 * Runs one step: updates all neurons with what was sent to them before, and sends the events of this step.
 *
 * events: channels with an event in this step, each below NETWORK_INPUTS and at most once, in any order
 * values: the number that each event carries, not 0, for inputs that take some; 0 stands for 1 each
 * n_events: how many there are
 * spikes: room for NETWORK_OUTPUTS numbers; receives the output neurons that spiked in this step
 *
 * Returns how many neurons spiked.
 */
uint32_t network_step(network *net, const network_index *events, const int32_t *values, uint32_t n_events,
                      network_index *spikes);

/* Returns the class that an output has decoded since the reset; output is below NETWORK_CLASSES. Ties: the lowest. */
uint32_t network_classify(const network *net, uint32_t output);

/* Returns the voltage of a neuron after the last step; population is one of NETWORK_POPULATION_... */
int32_t network_voltage(const network *net, uint32_t population, uint32_t neuron);

/* With -DNETWORK_TRACE the library calls this for every spike of every population; the caller defines it. */
#ifdef NETWORK_TRACE
void network_trace(uint32_t population, uint32_t neuron);
#endif

#ifdef __cplusplus
}}
#endif

#endif
"""

TABLES = """\
/* Weights, targets and parameters of single neurons. Included by network.c alone. */
#ifndef NETWORK_TABLES_H
#define NETWORK_TABLES_H

#include <stdint.h>

{tables}
#endif
"""

SOURCE = """\
/* See network.h. */
#include "network.h"
#include "network_tables.h"

#ifdef NETWORK_TRACE
#define NETWORK_TRACE_SPIKE(population, neuron) network_trace(population, neuron)
#else
#define NETWORK_TRACE_SPIKE(population, neuron) ((void)(population), (void)(neuron))
#endif

#if defined(__GNUC__)
#define NETWORK_RARE(condition) __builtin_expect((condition), 0)
#define NETWORK_NOINLINE __attribute__((noinline)) /* addresses from the first neuron on, so that both states load at once */
#else
#define NETWORK_RARE(condition) (condition)
#define NETWORK_NOINLINE
#endif

typedef char network_state_has_its_size[sizeof(network) == NETWORK_STATE_BYTES ? 1 : -1];

{helpers}{functions}
{sends}
void network_reset(network *instance)
{{
    volatile network *net = instance; /* so that no compiler calls memset, which is not there */
    uint32_t k;
{reset}    (void)k;
}}

uint32_t network_step(network *net, const network_index *events, const int32_t *values, uint32_t n_events,
                      network_index *spikes)
{{
{step}    (void)spikes;
    return n_spikes;
}}

int32_t network_voltage(const network *net, uint32_t population, uint32_t neuron)
{{
    switch (population) {{
{voltage}    default:
        return 0;
    }}
}}

uint32_t network_classify(const network *net, uint32_t output)
{{
    uint32_t k, best = 0;
    switch (output) {{
{classify}    default:
        k = 0;
    }}
    (void)k;
    return best;
}}
"""

MAIN = """\
/* An example: one step after the other, each with the events of one channel. Replace it with your own source of events. */
#include "network.h"

static network net;

int main(void)
{
    network_index spikes[NETWORK_OUTPUTS];
    uint32_t step;
    network_reset(&net);
    for (step = 0; step < 16u + NETWORK_DEPTH; step++) {
        const network_index event = (network_index)(step % NETWORK_INPUTS);
        network_step(&net, &event, 0, step < 16u ? 1u : 0u, spikes);
    }
    return (int)network_classify(&net, 0);
}
"""

CMAKE = """\
# cmake_minimum_required and project stand here so that the folder builds alone; with add_subdirectory they do no harm.
cmake_minimum_required(VERSION 3.13)
project(network C)

add_library(network STATIC network.c)
target_include_directories(network PUBLIC ${CMAKE_CURRENT_SOURCE_DIR})
set_target_properties(network PROPERTIES C_STANDARD 99 C_STANDARD_REQUIRED ON C_EXTENSIONS OFF)
target_compile_options(network PRIVATE -O2 -Wall -Wextra -pedantic -ffunction-sections -fdata-sections)

option(NETWORK_EXAMPLE "Build example/main.c" OFF)
if(NETWORK_EXAMPLE)
  add_executable(network_example example/main.c)
  target_link_libraries(network_example PRIVATE network)
endif()
"""

SKETCH = """\
// A sketch for boards with 32 bits: open this folder in the Arduino IDE. Channel 0 gets an event while pin 2 is high;
// the class of every 16 steps is printed.
#include "network.h"

static network net;
static network_index spikes[NETWORK_OUTPUTS];
static uint32_t step_number = 0;

void setup() {
  Serial.begin(115200);
  pinMode(2, INPUT);
  network_reset(&net);
}

void loop() {
  const network_index event = 0;
  network_step(&net, &event, 0, digitalRead(2) == HIGH ? 1 : 0, spikes);
  if (++step_number == 16 + NETWORK_DEPTH) {
    Serial.println(network_classify(&net, 0));
    network_reset(&net);
    step_number = 0;
  }
  delay(1);
}
"""

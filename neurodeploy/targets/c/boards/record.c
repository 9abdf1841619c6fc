/* Runs a network on samples: reads their events, and writes output spikes, voltages, classes and the ticks of each step.
   Built twice: with NETWORK_TRACE every spike of every population is written; without, ticks are those of the library alone.

   counts.bin: samples, steps, then the number of events of each step; events.bin: channels; values.bin: what they carry.
   calibration.bin: ticks of nothing and of 20,000 instructions. All words have 32 bits. */
#include "board.h"
#include "network.h"

extern network record_net;

enum { WORDS = 32, FILES = 5 };
enum { TRACE, STEPS, SPIKES, VOLTAGES, CLASSES };

static uint32_t waiting[FILES][WORDS];
static uint32_t filled[FILES];
static int file_of[FILES];
static network_index events[NETWORK_INPUTS];
#ifdef RECORD_VALUES
static int32_t values[NETWORK_INPUTS];
#else
#define values ((const int32_t *)0)
#endif
static network_index spikes[NETWORK_OUTPUTS];

static void flush(int which)
{
    if (filled[which] && board_write(file_of[which], waiting[which], filled[which] * 4u))
        board_exit(3);
    filled[which] = 0;
}

static void put(int which, uint32_t word)
{
    waiting[which][filled[which]++] = word;
    if (filled[which] == WORDS)
        flush(which);
}

static int opened(const char *name, int mode)
{
    const int file = board_open(name, mode);
    if (file < 0)
        board_exit(2);
    return file;
}

static uint32_t word_from(int file)
{
    uint32_t word = 0;
    if (board_read(file, &word, sizeof word))
        board_exit(4);
    return word;
}

#ifdef NETWORK_TRACE
static uint32_t traced;

void network_trace(uint32_t population, uint32_t neuron)
{
    put(TRACE, population);
    put(TRACE, neuron);
    traced++;
}
#endif

static void read_events(int from, int from_values, uint32_t n)
{
    uint32_t words[WORDS], k, i = 0;
    while (i < n) {
        const uint32_t part = n - i < WORDS ? n - i : WORDS;
        if (board_read(from, words, part * 4u))
            board_exit(4);
        for (k = 0; k < part; k++)
            events[i + k] = (network_index)words[k];
        i += part;
    }
#ifdef RECORD_VALUES
    if (n && board_read(from_values, values, n * 4u))
        board_exit(4);
#else
    (void)from_values;
#endif
}

static void calibrate(void)
{
    uint32_t ticks[2], n = 10000;
    const int to = opened("calibration.bin", BOARD_WRITE);
    board_count_start();
    ticks[0] = board_count();
    board_count_start();
    BOARD_LOOP(n);
    ticks[1] = board_count();
    if (board_write(to, ticks, sizeof ticks))
        board_exit(3);
}

int main(void)
{
    const int counts = opened("counts.bin", BOARD_READ), from = opened("events.bin", BOARD_READ);
    const int from_values = opened("values.bin", BOARD_READ);
    const uint32_t n_samples = word_from(counts), n_steps = word_from(counts);
    uint32_t sample, step, k;
    file_of[TRACE] = opened("trace.bin", BOARD_WRITE);
    file_of[STEPS] = opened("steps.bin", BOARD_WRITE);
    file_of[SPIKES] = opened("spikes.bin", BOARD_WRITE);
    file_of[VOLTAGES] = opened("voltages.bin", BOARD_WRITE);
    file_of[CLASSES] = opened("classes.bin", BOARD_WRITE);
    calibrate();
    for (sample = 0; sample < n_samples; sample++) {
        network_reset(&record_net);
        for (step = 0; step < n_steps; step++) {
            const uint32_t n = word_from(counts);
            uint32_t ticks, sent;
            read_events(from, from_values, n);
#ifdef NETWORK_TRACE
            traced = 0;
#endif
            board_count_start();
            sent = network_step(&record_net, events, values, n, spikes);
            ticks = board_count();
            put(STEPS, ticks);
            put(STEPS, sent);
#ifdef NETWORK_TRACE
            put(STEPS, traced);
            RECORD_PROBES
#else
            put(STEPS, 0);
#endif
            for (k = 0; k < sent; k++)
                put(SPIKES, spikes[k]);
        }
        for (k = 0; k < NETWORK_CLASSES; k++)
            put(CLASSES, network_classify(&record_net, k));
    }
    for (k = 0; k < FILES; k++)
        flush((int)k);
    return 0;
}

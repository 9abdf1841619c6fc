/*
 * Feeds samples to a network on this machine. in.bin holds numbers of 32 bits: samples, steps, then with
 * NETWORK_TRACE the number of probed populations with number and size of each, else the number of rounds; then the
 * number of events, the events of each step, all channels, and all values.
 *
 * With NETWORK_TRACE it writes spikes.bin (sample, step, population, neuron of each spike; what network_step returns as
 * population 0xffffffff), voltages.bin (of each step), and classes.bin; without, it prints the seconds of a sample.
 */
#include "network.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static network net;
static network_index spikes[NETWORK_OUTPUTS];

static uint32_t *read_all(const char *name)
{
    FILE *file = fopen(name, "rb");
    uint32_t *words;
    long size;
    if (!file || fseek(file, 0, SEEK_END) || (size = ftell(file)) < 0 || fseek(file, 0, SEEK_SET))
        return NULL;
    words = (uint32_t *)malloc((size_t)size + 4u);
    if (words && fread(words, 1, (size_t)size, file) != (size_t)size)
        words = NULL;
    fclose(file);
    return words;
}

static uint32_t step_with(const uint32_t *channels, const int32_t *values, uint32_t n)
{
    static network_index events[NETWORK_INPUTS];
    uint32_t k;
    for (k = 0; k < n; k++)
        events[k] = (network_index)channels[k];
    return network_step(&net, events, values, n, spikes);
}

#ifdef NETWORK_TRACE

static FILE *traced;
static uint32_t sample, step;

static void put(uint32_t population, uint32_t neuron)
{
    uint32_t row[4];
    row[0] = sample;
    row[1] = step;
    row[2] = population;
    row[3] = neuron;
    fwrite(row, sizeof row, 1, traced);
}

void network_trace(uint32_t population, uint32_t neuron)
{
    put(population, neuron);
}

int main(int argc, char **argv)
{
    uint32_t *in = argc > 1 ? read_all(argv[1]) : NULL;
    FILE *voltages = fopen("voltages.bin", "wb"), *classes = fopen("classes.bin", "wb");
    const uint32_t *count, *channel;
    const int32_t *value;
    uint32_t k, i, n;
    traced = fopen("spikes.bin", "wb");
    if (!in || !voltages || !classes || !traced)
        return 1;
    count = in + 4u + 2u * in[2];
    channel = count + in[0] * in[1];
    value = (const int32_t *)(channel + in[3u + 2u * in[2]]);
    for (sample = 0; sample < in[0]; sample++) {
        network_reset(&net);
        for (step = 0; step < in[1]; step++) {
            n = step_with(channel, value, *count);
            channel += *count;
            value += *count++;
            for (k = 0; k < n; k++)
                put(0xffffffffu, spikes[k]);
            for (k = 0; k < in[2]; k++)
                for (i = 0; i < in[4u + 2u * k]; i++) {
                    const int32_t v = network_voltage(&net, in[3u + 2u * k], i);
                    fwrite(&v, sizeof v, 1, voltages);
                }
        }
        for (k = 0; k < NETWORK_CLASSES; k++) {
            const uint32_t found = network_classify(&net, k);
            fwrite(&found, sizeof found, 1, classes);
        }
    }
    free(in);
    return fclose(traced) || fclose(voltages) || fclose(classes);
}

#else

int main(int argc, char **argv)
{
    uint32_t *in = argc > 1 ? read_all(argv[1]) : NULL;
    uint32_t round, sample, step;
    if (!in)
        return 1;
    for (round = 0; round < in[2]; round++) {
        const uint32_t *count = in + 4, *channel = count + in[0] * in[1];
        const int32_t *value = (const int32_t *)(channel + in[3]);
        const clock_t begin = clock();
        for (sample = 0; sample < in[0]; sample++) {
            network_reset(&net);
            for (step = 0; step < in[1]; step++) {
                step_with(channel, value, *count);
                channel += *count;
                value += *count++;
            }
        }
        printf("%.9f\n", (double)(clock() - begin) / CLOCKS_PER_SEC / in[0]);
    }
    free(in);
    return 0;
}

#endif

/* What this machine can do at most with the two inner loops of the event-driven engine, for bench_simulate.py. */
#include <stdint.h>

typedef int16_t words __attribute__((vector_size(64)));

#ifdef __AVX512BW__
#include <immintrin.h>
static inline words widened(const int8_t *p) { return (words)_mm512_cvtepi8_epi16(_mm256_loadu_si256((const __m256i *)p)); }
#else
typedef int8_t bytes __attribute__((vector_size(32), aligned(1)));
static inline words widened(const int8_t *p) { return __builtin_convertvector(*(const bytes *)p, words); }
#endif

/* Sum n int8 rows of `columns` weights (a multiple of 128) into int32, 128 columns of int16 in registers at a time; n <= 256. */
void gather_rows(const int8_t *weights, const int64_t *offset, int n, int columns, int32_t *sums)
{
    for (int c = 0; c < columns; c += 128) {
        words a0 = {0}, a1 = {0}, a2 = {0}, a3 = {0};
        for (int i = 0; i < n; i++) {
            const int8_t *row = weights + offset[i] + c;
            a0 += widened(row);
            a1 += widened(row + 32);
            a2 += widened(row + 64);
            a3 += widened(row + 96);
        }
        for (int k = 0; k < 32; k++) {
            sums[c + k] += a0[k];
            sums[c + 32 + k] += a1[k];
            sums[c + 64 + k] += a2[k];
            sums[c + 96 + k] += a3[k];
        }
    }
}

/* Add the lists (16-bit target, 8-bit weight) of n sources into int32 sums. */
void scatter_lists(const uint16_t *target, const int8_t *weights, const int64_t *start, const int32_t *source, int n,
                   int32_t *sums)
{
    for (int i = 0; i < n; i++)
        for (int64_t k = start[source[i]]; k < start[source[i] + 1]; k++)
            sums[target[k]] += 2 * weights[k];
}

void repeat_gather(const int8_t *weights, const int64_t *offset, int n, int columns, int32_t *sums, int times)
{
    for (int r = 0; r < times; r++) {
        gather_rows(weights, offset, n, columns, sums);
        __asm__ volatile("" ::: "memory");
    }
}

void repeat_scatter(const uint16_t *target, const int8_t *weights, const int64_t *start, const int32_t *source, int n,
                    int32_t *sums, int times)
{
    for (int r = 0; r < times; r++) {
        scatter_lists(target, weights, start, source, n, sums);
        __asm__ volatile("" ::: "memory");
    }
}

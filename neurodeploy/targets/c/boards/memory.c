/* What a compiler may call although no library is there. */
#include <stddef.h>

void *memset(void *to, int value, size_t n);
void *memcpy(void *restrict to, const void *restrict from, size_t n);

void *memset(void *to, int value, size_t n)
{
    unsigned char *byte = to;
    for (; n; n--)
        *byte++ = (unsigned char)value;
    return to;
}

void *memcpy(void *restrict to, const void *restrict from, size_t n)
{
    unsigned char *byte = to;
    const unsigned char *own = from;
    for (; n; n--)
        *byte++ = *own++;
    return to;
}

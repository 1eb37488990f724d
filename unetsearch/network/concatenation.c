/* Features side by side, and apart again, over values that lie place by place, the channels of each together. */

#include <string.h>

#define TILE 64 /* places that are dealt with before the next ones: the whole of them stays in the processor's cache */

#define INLINE static inline __attribute__((always_inline))

INLINE void copy(char *to, long to_step, const char *from, long from_step, long size, long rows) {
    for (long row = 0; row < rows; row++)
        memcpy(to + row * to_step, from + row * from_step, size);
}

/* Sizes that the compiler knows take no calls. */
static void copy_rows(char *to, long to_step, const char *from, long from_step, long size, long rows) {
    switch (size) {
    case 8:
        return copy(to, to_step, from, from_step, 8, rows);
    case 16:
        return copy(to, to_step, from, from_step, 16, rows);
    case 32:
        return copy(to, to_step, from, from_step, 32, rows);
    case 64:
        return copy(to, to_step, from, from_step, 64, rows);
    default:
        return copy(to, to_step, from, from_step, size, rows);
    }
}

/* Copies parts, of so many bytes a place each, into the whole, or `back`. */
void join(char *const *parts, const long *sizes, int count, char *whole, long places, int back, int threads) {
    long all = 0;
    for (int part = 0; part < count; part++)
        all += sizes[part];
#pragma omp parallel for num_threads(threads)
    for (long first = 0; first < places; first += TILE) {
        long rows = places - first < TILE ? places - first : TILE;
        char *inner = whole + first * all;
        for (int part = 0; part < count; inner += sizes[part++]) {
            char *outer = parts[part] + first * sizes[part];
            if (back)
                copy_rows(outer, sizes[part], inner, all, sizes[part], rows);
            else
                copy_rows(inner, all, outer, sizes[part], sizes[part], rows);
        }
    }
}

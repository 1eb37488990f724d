/* Max pooling of windows that lie beside one another, forth and back, over values that lie place by place, the channels
   of each together. Values are float, or bfloat16 (`half`).

   LANES values are dealt with at once, of a place or, where it has fewer, of the next ones too: what is written of those
   is written anew in their turn. So all goes from the left to the right, and by single values where a row ends. */

#include "vectors.h"

typedef uint8_t bytes __attribute__((vector_size(LANES)));

INLINE void put(void *values, long at, uint32_t all, int half) {
    if (half)
        ((uint16_t *)values)[at] = all >> 16;
    else
        ((uint32_t *)values)[at] = all;
}

INLINE void store(void *values, long at, bits all, int half) {
    if (!half) {
        memcpy((uint32_t *)values + at, &all, sizeof all);
        return;
    }
    halves found = __builtin_convertvector(all >> 16, halves);
    memcpy((uint16_t *)values + at, &found, sizeof found);
}

/* What is no number is greatest, the last one of them; of equals it is the first. */
INLINE void greatest(const void *values, long at, void *found, uint8_t *chosen, long to, long line, long channels,
                     long factor, int half) {
    bits best = load_bits(values, at, half), places = {0};
    for (uint32_t row = 0; row < factor; row++)
        for (uint32_t column = 0; column < factor; column++) {
            bits value = load_bits(values, at + row * line + column * channels, half);
            bits larger = (bits)((vec)value > (vec)best) | (bits)((vec)value != (vec)value);
            best = (value & larger) | (best & ~larger);
            places = ((row * (uint32_t)factor + column) & larger) | (places & ~larger);
        }
    store(found, to, best, half);
    bytes small = __builtin_convertvector(places, bytes);
    memcpy(chosen + to, &small, sizeof small);
}

INLINE void greatest_one(const void *values, long at, void *found, uint8_t *chosen, long to, long line, long channels,
                         long factor, int half) {
    uint32_t best = bits_at(values, at, half), place = 0;
    for (uint32_t row = 0; row < factor; row++)
        for (uint32_t column = 0; column < factor; column++) {
            uint32_t all = bits_at(values, at + row * line + column * channels, half);
            float value, other;
            memcpy(&value, &all, sizeof value);
            memcpy(&other, &best, sizeof other);
            if (value > other || value != value) {
                best = all;
                place = row * (uint32_t)factor + column;
            }
        }
    put(found, to, best, half);
    chosen[to] = place;
}

/* A row of what is found. `line`: values of a row of what is read. */
INLINE void pool_row(const void *values, void *found, uint8_t *chosen, long width, long line, long channels, long factor,
                     int half) {
    for (long place = 0; place < width; place++)
        for (long channel = 0; channel < channels; channel += LANES) {
            long at = place * factor * channels + channel, to = place * channels + channel;
            if (to + LANES <= width * channels)
                greatest(values, at, found, chosen, to, line, channels, factor, half);
            else
                for (long each = 0; each < LANES && channel + each < channels; each++)
                    greatest_one(values, at + each, found, chosen, to + each, line, channels, factor, half);
        }
}

/* What a window gives back to one of its places, `own`, from the channel that `from` and `to` begin with. */
INLINE void given(const void *gradient, const uint8_t *chosen, void *found, long from, long to, uint32_t own, int half) {
    bytes small;
    memcpy(&small, chosen + from, sizeof small);
    halves places = __builtin_convertvector(small, halves);
    if (!half) {
        bits taken = (bits)(__builtin_convertvector(places, bits) == own);
        store(found, to, load_bits(gradient, from, 0) & taken, 0);
        return;
    }
    halves values;
    memcpy(&values, (const uint16_t *)gradient + from, sizeof values);
    values &= (halves)(places == (uint16_t)own);
    memcpy((uint16_t *)found + to, &values, sizeof values);
}

/* A row of what is given back, of the windows' rows the one that begins with the place `own`. */
INLINE void spread_row(const void *gradient, const uint8_t *chosen, void *found, long width, long line, long channels,
                       long factor, long own, int half) {
    for (long place = 0; place < width; place++)
        for (long column = 0; column < factor; column++)
            for (long channel = 0; channel < channels; channel += LANES) {
                long from = place * channels + channel, to = (place * factor + column) * channels + channel;
                if (from + LANES <= width * channels) /* and then to + LANES <= line */
                    given(gradient, chosen, found, from, to, own + column, half);
                else
                    for (long each = 0; each < LANES && channel + each < channels; each++)
                        put(found, to + each,
                            chosen[from + each] == own + column ? bits_at(gradient, from + each, half) : 0, half);
            }
    for (long at = width * factor * channels; at < line; at++)
        put(found, at, 0, half);
}

/* Of images (count, height, width) the greatest values of windows factor x factor, and where in their window they are;
   what is left over at the end of rows and columns is in no window. */
void pool_forward(const char *values, char *found, uint8_t *chosen, long count, long height, long width, long channels,
                  long factor, int threads, int half) {
    long rows = height / factor, columns = width / factor, line = width * channels, size = half ? 2 : 4;
#pragma omp parallel for num_threads(threads)
    for (long row = 0; row < count * rows; row++) {
        const char *inner = values + (row / rows * height + row % rows * factor) * line * size;
        long at = row * columns * channels;
        FOR_TYPE(pool_row, inner, found + at * size, chosen + at, columns, line, channels, factor);
    }
}

/* The gradients of all that was read: those of the greatest values, else 0. */
void pool_backward(const char *gradient, const uint8_t *chosen, char *found, long count, long height, long width,
                   long channels, long factor, int threads, int half) {
    long rows = height / factor, columns = width / factor, line = width * channels, size = half ? 2 : 4;
#pragma omp parallel for num_threads(threads)
    for (long row = 0; row < count * height; row++) {
        long inner = row % height / factor, at = (row / height * rows + inner) * columns * channels;
        if (inner < rows)
            FOR_TYPE(spread_row, gradient + at * size, chosen + at, found + row * line * size, columns, line, channels,
                     factor, row % height % factor * factor);
        else
            memset(found + row * line * size, 0, line * size);
    }
}

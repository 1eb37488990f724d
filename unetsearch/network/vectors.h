/* Values, LANES at once: float, or bfloat16 (`half`). A bfloat16 is the upper half of the float of its value. */

#ifdef __AVX512F__
#include <immintrin.h>
#endif
#include <stdint.h>
#include <string.h>

#define LANES 16

typedef float vec __attribute__((vector_size(4 * LANES)));
typedef uint32_t bits __attribute__((vector_size(4 * LANES)));
typedef uint16_t halves __attribute__((vector_size(2 * LANES)));

#define INLINE static inline __attribute__((always_inline))

/* Compiles it for either type of values. */
#define FOR_TYPE(what, ...) (half ? what(__VA_ARGS__, 1) : what(__VA_ARGS__, 0))

/* As the bits of floats. */
INLINE bits load_bits(const void *from, long at, int half) {
    if (!half) {
        bits all;
        memcpy(&all, (const uint32_t *)from + at, sizeof all);
        return all;
    }
    halves found;
    memcpy(&found, (const uint16_t *)from + at, sizeof found);
#ifdef __AVX512F__
    return (bits)_mm512_cvtepu16_epi32((__m256i)found) << 16; /* gcc takes five instructions for it */
#else
    return __builtin_convertvector(found, bits) << 16;
#endif
}

INLINE uint32_t bits_at(const void *from, long at, int half) {
    return half ? (uint32_t)((const uint16_t *)from)[at] << 16 : ((const uint32_t *)from)[at];
}

/* Batch norm and leaky ReLU as one, forth and back (Ioffe & Szegedy 2015), over values that lie place by place, the C
   channels of each together. Each way reads the values twice; the second time from the end, which is still in the
   processor's cache.

   Values are float, or bfloat16 (`half`). Of fewer than LANES channels, `side` places side by side are seen as one row
   of side * C lanes. `slope`: of the negative values; 0 is ReLU, 1 leaves all as they are. `kept`: C means and C
   inverse deviations, for the way back. `sums`: room for 2 * side * C a thread; `lanes`: for 5 * side * C. */

#include <math.h>
#include <omp.h>

#include "vectors.h"

#define TILE 64 /* rows whose sums are taken in float, before they are added up in double */

typedef int32_t mask __attribute__((vector_size(4 * LANES)));

INLINE vec lanes_at(const float *from) { return (vec)load_bits(from, 0, 0); }

INLINE vec load(const void *from, long at, int half) { return (vec)load_bits(from, at, half); }

INLINE void store(void *to, long at, vec values, int half) {
    if (!half) {
        memcpy((float *)to + at, &values, sizeof values);
        return;
    }
#ifdef __AVX512BF16__ /* to the nearest, ties to even; what is below 2^-126 is 0 */
    halves found = (halves)_mm512_cvtneps_pbh((__m512)values);
#else
    bits all = (bits)values, nan = (bits)(values != values);
    bits rounded = (all + 0x7fff + ((all >> 16) & 1)) >> 16;
    halves found = __builtin_convertvector((rounded & ~nan) | (0x7fc0 & nan), halves);
#endif
    memcpy((uint16_t *)to + at, &found, sizeof found);
}

/* What is no number is not negative, and stays. */
INLINE vec leaky(mask negative, vec values, float slope) {
    bits below = slope == 0 ? (bits){0} : (bits)(values * slope);
    return (vec)(((bits)values & ~(bits)negative) | (below & (bits)negative));
}

INLINE long least(long one, long other) { return one < other ? one : other; }

/* A thread's rows [begin, end) of `lanes` lanes; `scale` and `shift` make of a value what is activated. */
struct rows {
    const void *values, *gradient;
    void *found;
    long begin, end, lanes;
    const float *mean, *scale, *shift, *along, *level;
    float slope;
};

/* The sums of values - mean and of their squares. */
INLINE void sum_values(const struct rows *of, double *sum, double *squares, int half) {
    for (long tile = of->begin; tile < of->end; tile += TILE)
        for (long lane = 0; lane < of->lanes; lane += LANES) {
            vec mean = lanes_at(of->mean + lane), sums = {0}, squared = {0};
            for (long row = tile; row < least(tile + TILE, of->end); row++) {
                vec value = load(of->values, row * of->lanes + lane, half) - mean;
                sums += value;
                squared += value * value;
            }
            for (int each = 0; each < LANES; each++) {
                sum[lane + each] += sums[each];
                squares[lane + each] += squared[each];
            }
        }
}

/* The sums of the gradients before the activation, and of them times values - mean. */
INLINE void sum_gradients(const struct rows *of, double *sum, double *products, int half) {
    for (long tile = of->begin; tile < of->end; tile += TILE)
        for (long lane = 0; lane < of->lanes; lane += LANES) {
            vec mean = lanes_at(of->mean + lane), scale = lanes_at(of->scale + lane), shift = lanes_at(of->shift + lane);
            vec sums = {0}, multiplied = {0};
            for (long row = tile; row < least(tile + TILE, of->end); row++) {
                long at = row * of->lanes + lane;
                vec value = load(of->values, at, half);
                vec inner = leaky(value * scale + shift <= 0, load(of->gradient, at, half), of->slope);
                sums += inner;
                multiplied += inner * (value - mean);
            }
            for (int each = 0; each < LANES; each++) {
                sum[lane + each] += sums[each];
                products[lane + each] += multiplied[each];
            }
        }
}

INLINE void activate(const struct rows *of, int half) {
    for (long tile = of->end; tile > of->begin; tile -= TILE)
        for (long lane = 0; lane < of->lanes; lane += LANES) {
            vec scale = lanes_at(of->scale + lane), shift = lanes_at(of->shift + lane);
            for (long row = tile - least(TILE, tile - of->begin); row < tile; row++) {
                long at = row * of->lanes + lane;
                vec value = load(of->values, at, half) * scale + shift;
                store(of->found, at, leaky(value <= 0, value, of->slope), half);
            }
        }
}

INLINE void give_back(const struct rows *of, int half) {
    for (long tile = of->end; tile > of->begin; tile -= TILE)
        for (long lane = 0; lane < of->lanes; lane += LANES) {
            vec scale = lanes_at(of->scale + lane), shift = lanes_at(of->shift + lane);
            vec along = lanes_at(of->along + lane), level = lanes_at(of->level + lane);
            for (long row = tile - least(TILE, tile - of->begin); row < tile; row++) {
                long at = row * of->lanes + lane;
                vec value = load(of->values, at, half);
                vec inner = leaky(value * scale + shift <= 0, load(of->gradient, at, half), of->slope);
                store(of->found, at, inner * scale + value * along + level, half);
            }
        }
}

static float value_at(const void *values, long at, int half) {
    uint32_t all = bits_at(values, at, half);
    float value;
    memcpy(&value, &all, sizeof value);
    return value;
}

static float middle(float one, float two, float three) {
    return fmaxf(fminf(one, two), fminf(fmaxf(one, two), three));
}

/* The sum of one channel over threads and side by side. */
static double total(const double *sums, long lanes, long channels, long channel, int threads) {
    double found = 0;
    for (int thread = 0; thread < threads; thread++)
        for (long lane = channel; lane < lanes; lane += channels)
            found += sums[2 * lanes * thread + lane];
    return found;
}

/* The rows of the thread that asks, its sums at zero. */
static struct rows own(struct rows of, double *sums) {
    long count = of.end, thread = omp_get_thread_num(), threads = omp_get_num_threads();
    of.begin = count * thread / threads;
    of.end = count * (thread + 1) / threads;
    memset(sums + 2 * of.lanes * thread, 0, 2 * of.lanes * sizeof *sums);
    return of;
}

void norm_forward(const void *values, void *found, long places, long channels, long side, const float *weight,
                  const float *bias, float *running_mean, float *running_var, float momentum, float eps, float slope,
                  float *kept, double *sums, float *lanes, int threads, int half) {
    long count = side * channels;
    float *first = lanes, *scale = lanes + count, *shift = lanes + 2 * count;
    for (long lane = 0; lane < count; lane++) /* amidst the channel's values: a mean far from 0 costs no digits */
        first[lane] = middle(value_at(values, lane % channels, half),
                             value_at(values, places / 2 * channels + lane % channels, half),
                             value_at(values, (places - 1) * channels + lane % channels, half));
    struct rows all = {.values = values, .found = found, .end = places / side, .lanes = count,
                       .mean = first, .scale = scale, .shift = shift, .slope = slope};
#pragma omp parallel num_threads(threads)
    {
        struct rows some = own(all, sums);
        double *sum = sums + 2 * count * omp_get_thread_num();
        FOR_TYPE(sum_values, &some, sum, sum + count);
#pragma omp barrier
#pragma omp single
        for (long channel = 0; channel < channels; channel++) {
            double rest = total(sums, count, channels, channel, omp_get_num_threads()) / places;
            double squares = total(sums + count, count, channels, channel, omp_get_num_threads()) / places;
            double mean = first[channel] + rest, variance = fmax(squares - rest * rest, 0);
            running_mean[channel] += momentum * ((float)mean - running_mean[channel]);
            running_var[channel] += momentum * ((float)(variance * places / (places - 1)) - running_var[channel]);
            kept[channel] = mean;
            kept[channels + channel] = 1 / sqrt(variance + eps);
            for (long lane = channel; lane < count; lane += channels) {
                scale[lane] = kept[channels + channel] * weight[channel];
                shift[lane] = bias[channel] - kept[channel] * scale[lane];
            }
        }
        FOR_TYPE(activate, &some);
    }
}

void norm_backward(const void *gradient, const void *values, void *found, long places, long channels, long side,
                   const float *weight, const float *bias, const float *kept, float slope, float *of_weight,
                   float *of_bias, double *sums, float *lanes, int threads, int half) {
    long count = side * channels;
    float *mean = lanes, *scale = lanes + count, *shift = lanes + 2 * count;
    float *along = lanes + 3 * count, *level = lanes + 4 * count;
    for (long lane = 0; lane < count; lane++) {
        long channel = lane % channels;
        mean[lane] = kept[channel];
        scale[lane] = kept[channels + channel] * weight[channel];
        shift[lane] = bias[channel] - kept[channel] * scale[lane];
    }
    struct rows all = {.values = values, .gradient = gradient, .found = found, .end = places / side, .lanes = count,
                       .mean = mean, .scale = scale, .shift = shift, .along = along, .level = level, .slope = slope};
#pragma omp parallel num_threads(threads)
    {
        struct rows some = own(all, sums);
        double *sum = sums + 2 * count * omp_get_thread_num();
        FOR_TYPE(sum_gradients, &some, sum, sum + count);
#pragma omp barrier
#pragma omp single
        for (long channel = 0; channel < channels; channel++) {
            double inner = total(sums, count, channels, channel, omp_get_num_threads());
            double deviations = total(sums + count, count, channels, channel, omp_get_num_threads());
            double inverse = kept[channels + channel];
            of_bias[channel] = inner;
            of_weight[channel] = deviations * inverse;
            for (long lane = channel; lane < count; lane += channels) {
                double slant = -scale[lane] * inverse * inverse * deviations / places;
                along[lane] = slant;
                level[lane] = -scale[lane] * inner / places - slant * mean[lane];
            }
        }
        FOR_TYPE(give_back, &some);
    }
}

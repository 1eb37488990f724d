/* What crops are made of on the processor. */

#include <math.h>
#include <omp.h>
#include <stdint.h>
#include <string.h>

static inline long between(long low, long at, long high) { return at < low ? low : at > high ? high : at; }

/* found[i] += share * (the five weighed by the taps - found[i]) */
static void mix(float *restrict found, const float *const five[5], const float *taps, float share, long count) {
    const float *one = five[0], *two = five[1], *three = five[2], *four = five[3], *last = five[4];
    for (long at = 0; at < count; at++) {
        float sum = taps[0] * one[at] + taps[1] * two[at] + taps[2] * three[at] + taps[3] * four[at] + taps[4] * last[at];
        found[at] += share * (sum - found[at]);
    }
}

/* Images (planes, side, side), one share for each `channels` of them: so much of the blurred image is mixed in. `taps`:
   5 of a filter, down and across; beyond the border its pixels are repeated. `room`: (planes, side, side + 4). */
void blur(float *images, long planes, long channels, long side, const float *taps, const float *shares, float *room,
          int threads) {
#pragma omp parallel for num_threads(threads) schedule(static)
    for (long plane = 0; plane < planes; plane++) {
        float *image = images + plane * side * side, *down = room + plane * side * (side + 4);
        for (long row = 0; row < side; row++) {
            const float *five[5];
            float *wide = down + row * (side + 4);
            for (long tap = 0; tap < 5; tap++)
                five[tap] = image + between(0, row + tap - 2, side - 1) * side;
            memset(wide, 0, (side + 4) * sizeof *wide);
            mix(wide + 2, five, taps, 1, side);
            wide[0] = wide[1] = wide[2];
            wide[side + 2] = wide[side + 3] = wide[side + 1];
        }
        for (long row = 0; row < side; row++) {
            const float *wide = down + row * (side + 4), *five[5] = {wide, wide + 1, wide + 2, wide + 3, wide + 4};
            mix(image + row * side, five, taps, shares[plane / channels], side);
        }
    }
}

/* From -1 to 1 -> pixels from the window's edge, mirrored into it; what is no number is the edge. */
static inline float within(float place, float span) {
    float at = fabsf((place + 1) * (span / 2));
    at -= 2 * span * floorf(at / (2 * span));
    at = at > span ? 2 * span - at : at;
    return at > 0 ? at < span ? at : span : 0;
}

/* A row of images, bilinear at the places x and y. */
static inline __attribute__((always_inline)) void between_pixels(const float *pixels, const int64_t *down,
                                                                 const int64_t *across, const float *x, const float *y,
                                                                 long window, long side, long channels, float *image) {
    for (long column = 0; column < side; column++) {
        int left = x[column], top = y[column];
        int right = left + (left < window - 1), bottom = top + (top < window - 1);
        float east = x[column] - left, south = y[column] - top;
        const float *a = pixels + (down[top] + across[left]) * channels;
        const float *b = pixels + (down[top] + across[right]) * channels;
        const float *c = pixels + (down[bottom] + across[left]) * channels;
        const float *d = pixels + (down[bottom] + across[right]) * channels;
        for (long channel = 0; channel < channels; channel++) {
            float upper = a[channel] + east * (b[channel] - a[channel]);
            float lower = c[channel] + east * (d[channel] - c[channel]);
            image[channel * side * side + column] = upper + south * (lower - upper);
        }
    }
}

/* Bent and turned: each pixel is read at its own place between those of its image, without a copy of the window around
   it. Beyond the window's border it goes on mirrored, as torch's grid_sample has it (padding `reflection`, corners
   aligned). Images are bilinear, masks and weights those of the nearest pixel.

   pixels (P, channels), masks (P), weights (P) or NULL; lines (2, samples, window): a pixel of a window lies at the sum of
   its row's and its column's. places (samples, 2, side, side): columns and rows. Found: images (samples,
   channels, side, side), and of the inner pixels masks and weights (samples, inner, inner). */
void sample(const float *pixels, const uint8_t *masks, const float *weights, const int64_t *lines,
            const float *places, long samples, long window, long side, long inner, long channels, float *images,
            uint8_t *found_masks, float *found_weights, int threads) {
    long margin = (side - inner) / 2;
#pragma omp parallel for collapse(2) num_threads(threads) schedule(static)
    for (long which = 0; which < samples; which++)
        for (long row = 0; row < side; row++) {
            const int64_t *down = lines + which * window, *across = lines + (samples + which) * window;
            const float *columns = places + (2 * which * side + row) * side, *rows = columns + side * side;
            float *image = images + (which * channels * side + row) * side;
            long inside = row - margin, begin = (which * inner + inside) * inner - margin;
            float x[side], y[side];
            for (long column = 0; column < side; column++) {
                x[column] = within(columns[column], window - 1);
                y[column] = within(rows[column], window - 1);
            }
            if (channels == 1) /* which compilers make more of if they know it */
                between_pixels(pixels, down, across, x, y, window, side, 1, image);
            else
                between_pixels(pixels, down, across, x, y, window, side, channels, image);
            if (inside < 0 || inside >= inner)
                continue;
            for (long column = margin; column < margin + inner; column++) {
                int64_t nearest = down[(int)nearbyintf(y[column])] + across[(int)nearbyintf(x[column])];
                found_masks[begin + column] = masks[nearest];
                if (weights)
                    found_weights[begin + column] = weights[nearest];
            }
        }
}

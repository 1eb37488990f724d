/* Crops of a batch, bent and turned: each pixel is read at its own place between those of its image, without a copy of
   the window around it. Beyond the window's border it goes on mirrored, as torch's grid_sample has it (padding
   `reflection`, corners aligned). Images are bilinear, masks and weights those of the nearest pixel. */

#include <math.h>
#include <omp.h>
#include <stdint.h>

/* From -1 to 1 -> pixels from the window's edge. */
static inline float within(float place, long window) {
    float span = window - 1, at = fabsf((place + 1) * (span / 2));
    if (at > span) {
        float rest = fmodf(at, span);
        at = (long)(at / span) % 2 ? span - rest : rest;
    }
    return at;
}

/* pixels (P, channels), masks (P), weights (P), of 16 bits, or NULL; lines (2, samples, window): a pixel of a window lies
   at the sum of its row's and its column's. places (samples, side, side, 2): columns and rows. Found: images (samples,
   channels, side, side), and of the inner pixels masks and weights (samples, inner, inner). */
void sample(const float *pixels, const uint8_t *masks, const uint16_t *weights, const int64_t *lines,
            const float *places, long samples, long window, long side, long inner, long channels, float *images,
            uint8_t *found_masks, uint16_t *found_weights, int threads) {
    long margin = (side - inner) / 2;
#pragma omp parallel for collapse(2) num_threads(threads) schedule(static)
    for (long which = 0; which < samples; which++)
        for (long row = 0; row < side; row++) {
            const int64_t *down = lines + which * window, *across = lines + (samples + which) * window;
            const float *place = places + (which * side + row) * side * 2;
            float *image = images + (which * channels * side + row) * side;
            long inside = row - margin, begin = (which * inner + inside) * inner - margin;
            for (long column = 0; column < side; column++) {
                float x = within(place[2 * column], window), y = within(place[2 * column + 1], window);
                if (!(x < window && y < window)) /* no numbers */
                    x = y = 0;
                long left = x, top = y, right = left + (left < window - 1), bottom = top + (top < window - 1);
                float east = x - left, south = y - top;
                const float *corners[4] = {pixels + (down[top] + across[left]) * channels,
                                           pixels + (down[top] + across[right]) * channels,
                                           pixels + (down[bottom] + across[left]) * channels,
                                           pixels + (down[bottom] + across[right]) * channels};
                for (long channel = 0; channel < channels; channel++)
                    image[channel * side * side + column] =
                        (corners[0][channel] * (1 - east) + corners[1][channel] * east) * (1 - south) +
                        (corners[2][channel] * (1 - east) + corners[3][channel] * east) * south;
                if (inside >= 0 && inside < inner && column >= margin && column < margin + inner) {
                    int64_t nearest = down[(long)nearbyintf(y)] + across[(long)nearbyintf(x)];
                    found_masks[begin + column] = masks[nearest];
                    if (weights)
                        found_weights[begin + column] = weights[nearest];
                }
            }
        }
}

/* Compiled with the flags of AMX; see layer.cmake. */
#define _DEFAULT_SOURCE /* syscall() */
#include "kernels/gemm_amx.h"

#include "kernels/amx_tiles.h"
#include "kernels/gemm_onednn.h"

#ifdef CLLM__AMX

_Static_assert((int)CLLM__AMX_DEPTH == (int)AMX_DEPTH, "a tile's row");

/* Of sums: four tiles, two of rows by two of columns; half a panel is as wide. BLOCK: of k, after which the other half's turn
 * comes. Both take a block of PAGES pages, and meanwhile the next PAGES are fetched, at an even pace, a line from each in turn
 * for the reason that gemm_loops.inc gives. */
enum {
    CHUNK = 2 * AMX_ROWS,
    HALF = CLLM__PANEL / 2,
    STEP = AMX_DEPTH * CLLM__PANEL /* numbers of a panel */,
    LINE = 32,
    PAGES = 4,
    PAGE = 2048 /* numbers */,
    BLOCK = PAGES * AMX_DEPTH,
    STEP_LINES = STEP / LINE / 2 /* of half a panel */
};
_Static_assert((int)STEP == (int)PAGE, "a panel is whole pages");
enum { PANEL_ROW_BYTES = CLLM__PANEL * 2 * 2 }; /* two rows of k */

/* What is to be fetched. */
typedef struct reading {
    const uint16_t *pages;
    size_t left; /* pages */
    size_t at;   /* in each page */
} reading;

static inline __attribute__((always_inline)) void read_ahead(reading *ahead) {
    size_t side_by_side = ahead->left < PAGES ? ahead->left : PAGES;
    if (side_by_side == 0) return;
    for (size_t i = 0; i < STEP_LINES; i += PAGES, ahead->at += LINE)
        for (size_t p = 0; p < side_by_side; p++) __builtin_prefetch(ahead->pages + p * PAGE + ahead->at, 0, 2);
    if (ahead->at == PAGE) *ahead = (reading){ahead->pages + side_by_side * PAGE, ahead->left - side_by_side, 0};
}

/* y[rows × HALF] (+)= x[rows × k of ld_x]·w for a chunk that has a second tile of rows or not. */
static inline __attribute__((always_inline)) void half_panel(float *y, size_t ld_y, const uint16_t *x, size_t ld_x, size_t k,
                                                             const uint16_t *w, bool add, bool second, reading *ahead) {
    size_t x_bytes = ld_x * sizeof *x, y_bytes = ld_y * sizeof *y;
    if (add) {
        _tile_loadd(0, y, y_bytes);
        _tile_loadd(1, y + AMX_ROWS, y_bytes);
    } else {
        _tile_zero(0);
        _tile_zero(1);
    }
    if (second && add) {
        _tile_loadd(2, y + AMX_ROWS * ld_y, y_bytes);
        _tile_loadd(3, y + AMX_ROWS * ld_y + AMX_ROWS, y_bytes);
    } else if (second) {
        _tile_zero(2);
        _tile_zero(3);
    }
    for (size_t p = 0; p < k; p += AMX_DEPTH, w += STEP, x += AMX_DEPTH) {
        _tile_loadd(4, x, x_bytes);
        _tile_loadd(6, w, PANEL_ROW_BYTES);
        _tile_loadd(7, w + LINE, PANEL_ROW_BYTES);
        _tile_dpbf16ps(0, 4, 6);
        _tile_dpbf16ps(1, 4, 7);
        if (second) {
            _tile_loadd(5, x + AMX_ROWS * ld_x, x_bytes);
            _tile_dpbf16ps(2, 5, 6);
            _tile_dpbf16ps(3, 5, 7);
        }
        read_ahead(ahead);
    }
    _tile_stored(0, y, y_bytes);
    _tile_stored(1, y + AMX_ROWS, y_bytes);
    if (second) {
        _tile_stored(2, y + AMX_ROWS * ld_y, y_bytes);
        _tile_stored(3, y + AMX_ROWS * ld_y + AMX_ROWS, y_bytes);
    }
    amx_memory_is_read(y);
}

/* y[rows × 64] = x[rows × k]·w of a chunk. */
static inline __attribute__((always_inline)) void whole_panel(float *y, size_t ld_y, const uint16_t *x, size_t k, const uint16_t *w,
                                                              bool second, reading *ahead) {
    for (size_t p = 0; p < k; p += BLOCK) {
        size_t count = k - p < BLOCK ? k - p : BLOCK;
        for (size_t h = 0; h < 2; h++)
            half_panel(y + h * HALF, ld_y, x + p, k, count, w + p * CLLM__PANEL + h * 2 * (size_t)HALF, p > 0, second, ahead);
    }
}

bool cllm__amx_has(void) {
    return amx_permitted();
}

void cllm__amx_product(float *y, const uint16_t *x, size_t rows, size_t k, const uint16_t *w, size_t panels) {
    size_t ld_y = panels * CLLM__PANEL;
    size_t pages = panels * k * CLLM__PANEL / PAGE, skipped = pages < PAGES ? pages : PAGES;
    reading ahead = {w + skipped * PAGE, pages - skipped, 0};
    amx_memory_is_read(x);
    for (size_t i = 0; i < rows; i += CHUNK) {
        size_t chunk = rows - i < CHUNK ? rows - i : CHUNK;
        uint8_t first = (uint8_t)(chunk < AMX_ROWS ? chunk : AMX_ROWS), rest = (uint8_t)(chunk - first),
                second = rest > 0 ? rest : AMX_ROWS;
        amx_configure((const uint8_t[AMX_TILES]){first, first, second, second, first, second, AMX_ROWS, AMX_ROWS});
        for (size_t j = 0; j < panels; j++) {
            const uint16_t *panel = w + j * k * CLLM__PANEL;
            float *to = y + i * ld_y + j * CLLM__PANEL;
            if (rest > 0) whole_panel(to, ld_y, x + i * k, k, panel, true, &ahead);
            else whole_panel(to, ld_y, x + i * k, k, panel, false, &ahead);
        }
    }
    _tile_release();
}
#else
bool cllm__amx_has(void) {
    return false;
}
void cllm__amx_product(float *y, const uint16_t *x, size_t rows, size_t k, const uint16_t *w, size_t panels) {
    (void)y, (void)x, (void)rows, (void)k, (void)w, (void)panels;
}
#endif

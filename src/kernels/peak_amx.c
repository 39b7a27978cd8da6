/* Compiled with the flags of AMX; see layer.cmake. */
#define _DEFAULT_SOURCE /* syscall() */
#include "kernels/peak_amx.h"

#include "kernels/amx_tiles.h"

#ifdef CLLM__AMX

enum { PRODUCTS = 4, OPERATIONS = AMX_ROWS * AMX_ROWS * AMX_DEPTH * 2 };

double cllm__amx_burst(size_t rounds) {
    const uint8_t rows[AMX_TILES] = {AMX_ROWS, AMX_ROWS, AMX_ROWS, AMX_ROWS, AMX_ROWS, AMX_ROWS, AMX_ROWS, AMX_ROWS};
    uint16_t ones[AMX_ROWS * AMX_DEPTH];
    if (!amx_permitted()) return 0;
    for (size_t i = 0; i < sizeof ones / sizeof *ones; i++) ones[i] = 0x3f80;
    amx_memory_is_read(ones);
    amx_configure(rows);
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    _tile_loadd(4, ones, AMX_ROW_BYTES);
    _tile_loadd(5, ones, AMX_ROW_BYTES);
    _tile_loadd(6, ones, AMX_ROW_BYTES);
    _tile_loadd(7, ones, AMX_ROW_BYTES);
    for (size_t r = 0; r < rounds; r++) {
        _tile_dpbf16ps(0, 4, 6);
        _tile_dpbf16ps(1, 4, 7);
        _tile_dpbf16ps(2, 5, 6);
        _tile_dpbf16ps(3, 5, 7);
    }
    _tile_release();
    return (double)rounds * PRODUCTS * OPERATIONS;
}
#else
double cllm__amx_burst(size_t rounds) {
    (void)rounds;
    return 0;
}
#endif

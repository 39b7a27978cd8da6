/* Compiled with the flags of AMX; see layer.cmake. */
#define _DEFAULT_SOURCE /* syscall() */
#include "kernels/peak_amx.h"

#if defined(__AMX_BF16__) && defined(__linux__)
#include <immintrin.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { ROWS = 16, ROW_BYTES = 64, PRODUCTS = 4, OPERATIONS = ROWS * ROWS * (ROW_BYTES / 2) * 2 };
enum { ARCH_REQ_XCOMP_PERM = 0x1023, XFEATURE_XTILEDATA = 18 }; /* of Linux: a process asks before it uses tiles */

typedef struct configuration { /* of LDTILECFG */
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
} configuration;

double cllm__amx_burst(size_t rounds) {
    configuration tiles = {.palette = 1};
    uint16_t ones[ROWS * ROW_BYTES / 2];
    if (syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) != 0) return 0;
    for (int t = 0; t < 8; t++) {
        tiles.row_bytes[t] = ROW_BYTES;
        tiles.rows[t] = ROWS;
    }
    for (size_t i = 0; i < sizeof ones / sizeof *ones; i++) ones[i] = 0x3f80;
    __asm__ volatile("" : : "r"(&tiles), "r"(ones) : "memory"); /* gcc 12's intrinsics don't say that they read these */
    _tile_loadconfig(&tiles);
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    _tile_loadd(4, ones, ROW_BYTES);
    _tile_loadd(5, ones, ROW_BYTES);
    _tile_loadd(6, ones, ROW_BYTES);
    _tile_loadd(7, ones, ROW_BYTES);
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

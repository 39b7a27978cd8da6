/*
 * What AMX wants of a program before it uses tiles. Included by files that are compiled with its flags; CLLM__AMX says
 * whether there is AMX for this build.
 */
#ifndef CLLM_KERNELS_AMX_TILES_H
#define CLLM_KERNELS_AMX_TILES_H

#if defined(__AMX_BF16__) && defined(__linux__)
#define CLLM__AMX 1

#include <immintrin.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { AMX_TILES = 8, AMX_ROWS = 16, AMX_ROW_BYTES = 64, AMX_DEPTH = 32 /* numbers in bf16 of a row */ };
enum { AMX_REQUEST_PERMISSION = 0x1023, AMX_TILE_DATA = 18 }; /* of Linux's arch_prctl */

typedef struct amx_configuration { /* of LDTILECFG */
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
} amx_configuration;

/* Asks the system for this process; whoever was let in before is let in again. */
static inline bool amx_permitted(void) {
    return syscall(SYS_arch_prctl, AMX_REQUEST_PERMISSION, AMX_TILE_DATA) == 0;
}

/* gcc 12's intrinsics don't say that they read memory. */
static inline void amx_memory_is_read(const void *bytes) {
    __asm__ volatile("" : : "r"(bytes) : "memory");
}

/* Sets all tiles up, with that many rows each; undone by _tile_release(). */
static inline void amx_configure(const uint8_t rows[AMX_TILES]) {
    amx_configuration tiles = {.palette = 1};
    for (int t = 0; t < AMX_TILES; t++) {
        tiles.row_bytes[t] = AMX_ROW_BYTES;
        tiles.rows[t] = rows[t];
    }
    amx_memory_is_read(&tiles);
    _tile_loadconfig(&tiles);
}
#endif

#endif

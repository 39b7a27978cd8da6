/*
 * Products of the float build: packing, and the division into tiles.
 *
 * The rows of x go in tiles of 4 to 64 rows, all of a height divisible by four, so that oneDNN needs few primitives; the
 * missing rows of the last tile are zero (AMX asks for eights: gemm_onednn.h; loops take six at a time). A task is a tile with a piece of the columns,
 * computed into scratch and stored from there; the tiles of a piece follow each other, so that the piece is read from the
 * second-level cache. Bits don't depend on how a product is divided (gemm_onednn.h).
 *
 * Where few rows pass a matrix in f32, reading it takes as long as multiplying. The loops of the operations' table then read
 * ahead, which oneDNN does not, and sum in its order; in bf16 those of gemm_amx.h do.
 */
#include "kernels/gemm.h"

#ifndef CLLM_REF64

#include <stdatomic.h>
#include <stdint.h>
#include <string.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "kernels/blocks8.h"
#include "kernels/gemm_amx.h"
#include "kernels/gemm_engine.h"
#include "kernels/gemm_onednn.h"
#include "kernels/ops_table.h"
#include "kernels/scratch.h"

/* WIDEST: panels of a piece. FEW: tiles that may be too few for the workers. GROUP: columns that are turned from 8 bits into f32 at a time.
 * FEW_ROWS: of a product that reads ahead; all pass in one go. LOOP_BLOCK: their block where oneDNN's order is not asked for; LOOP_ROWS: what they take at a time. */
enum { QUAD = 4, TILE = 64, K_BLOCK = 1024, WIDEST = 4, FEW = 5, GROUP = 8 * CLLM__PANEL, FEW_ROWS = 48, LOOP_BLOCK = 256, LOOP_ROWS = 6 };
_Static_assert(WIDEST * (int)CLLM__PANEL <= (int)CLLM__AMX_WIDEST && (int)TILE % (int)CLLM__AMX_UNIT == 0 && (int)K_BLOCK <= (int)CLLM__AMX_DEEPEST, "products keep to AMX's bounds");
/* Bytes of a piece, at most: it stays in a second-level cache of 1 MiB beside rows of x. */
enum { PIECE_BYTES = 768 << 10 };

/* A packed matrix, or some columns of one. */
typedef struct packed {
    size_t k, n, k_padded;
    bool onednn;  /* else by loops */
    bool bf16;    /* stored in bf16 */
    bool rounded; /* stored in f32, but rounded to bf16, and x shall be too */
    const void *panels;
} packed;

struct cllm__weight {
    packed matrix; /* for blocks: without panels */
    void *panels;
    size_t bytes;
    cllm__blocks8 blocks; /* 8 bits: [n × k], or [k × n] if turned */
    bool quantised, turned, borrowed;
};

/* ---- Choosing ---- */

static atomic_bool g_loops_only;

void cllm__gemm_force_loops(bool loops) {
    atomic_store(&g_loops_only, loops);
}

/* oneDNN's products where they keep the promise and nobody asked for a lesser instruction set. */
static bool use_onednn(bool bf16) {
    return !atomic_load(&g_loops_only) && strcmp(cllm__ops_isa(), "avx512") == 0 && cllm__onednn_has(bf16);
}

bool cllm__gemm_has_bf16(void) {
    return use_onednn(true);
}

const char *cllm__gemm_isa(void) {
    if (use_onednn(true)) return cllm__onednn_isa(true);
    return use_onednn(false) ? cllm__onednn_isa(false) : cllm__ops_isa();
}

static size_t round_up(size_t n, size_t to) {
    return (n + to - 1) / to * to;
}

static packed packed_like(size_t k, size_t n, cllm__dtype dtype) {
    bool bf16 = dtype == CLLM__BF16 && k > 0 && use_onednn(true) && !(cllm__onednn_amx() && k > CLLM__AMX_DEEPEST);
    return (packed){
        .k = k,
        .n = n,
        .k_padded = round_up(k, bf16 ? 32 : 16),
        .onednn = k > 0 && (bf16 || use_onednn(false)),
        .bf16 = bf16,
        .rounded = dtype == CLLM__BF16 && !bf16,
    };
}

static size_t panel_bytes(const packed *p) {
    return p->k_padded * CLLM__PANEL * (p->bf16 ? sizeof(uint16_t) : sizeof(float));
}

static size_t panel_count(const packed *p) {
    return (p->n + CLLM__PANEL - 1) / CLLM__PANEL;
}

/* ---- Packing ---- */

typedef struct packing {
    const cllm__ops_table *ops;
    packed matrix;
    unsigned char *to;
    const float *from; /* element (p, j) is from[p·row + j·column] */
    size_t row, column;
} packing;

static void pack_task(void *context, size_t index, int worker) {
    const packing *run = context;
    const packed *p = &run->matrix;
    size_t first = index * CLLM__PANEL, n = p->n - first < CLLM__PANEL ? p->n - first : CLLM__PANEL;
    void *to = run->to + index * panel_bytes(p);
    const float *from = run->from + first * run->column;
    (void)worker;
    if (p->bf16) {
        run->ops->pack_panel_bf16(to, from, run->row, run->column, p->k, p->k_padded, n);
    } else {
        run->ops->pack_panel(to, from, run->row, run->column, p->k, p->k_padded, n);
        if (p->rounded) run->ops->round_bf16(to, to, p->k_padded * CLLM__PANEL);
    }
}

/* Packs into `to`, which has room for all panels. */
static void pack(cllm__pool *pool, packed *matrix, void *to, const float *from, size_t row, size_t column) {
    packing run = {cllm__ops(), *matrix, to, from, row, column};
    cllm__pool_run(pool, panel_count(matrix), pack_task, &run);
    matrix->panels = to;
}

static cllm_status pack_blocks(cllm__weight *weight, const cllm__real *values, size_t k, size_t n, bool transposed, cllm__pool *pool,
                               cllm_error *err) {
    weight->quantised = true;
    CLLM_TRY(cllm__blocks8_make(&weight->blocks, values, n, k, transposed ? k : 1, transposed ? 1 : n, pool, err));
    weight->bytes = cllm__blocks8_bytes(&weight->blocks);
    return CLLM_OK;
}

cllm_status cllm__weight_pack(cllm__weight **out, const cllm__real *values, size_t k, size_t n, bool transposed, cllm__dtype dtype,
                              cllm__pool *pool, cllm_error *err) {
    cllm__weight *weight;
    if (n != 0 && k > SIZE_MAX / 8 / n) return cllm__fail_nomem(err);
    CLLM_TRY(CLLM_NEW(weight, 1, err));
    weight->matrix = packed_like(k, n, dtype);
    if (dtype == CLLM__Q8_0) {
        cllm_status status = pack_blocks(weight, values, k, n, transposed, pool, err);
        if (status == CLLM_OK) *out = weight;
        else cllm__free(weight);
        return status;
    }
    weight->bytes = panel_count(&weight->matrix) * panel_bytes(&weight->matrix);
    weight->panels = cllm__alloc(weight->bytes, 1);
    if (weight->panels == NULL) {
        cllm__free(weight);
        return cllm__fail_nomem(err);
    }
    pack(pool, &weight->matrix, weight->panels, values, transposed ? 1 : n, transposed ? k : 1);
    *out = weight;
    return CLLM_OK;
}

cllm_status cllm__weight_turn(cllm__weight **out, const cllm__weight *weight, cllm_error *err) {
    if (!weight->quantised) return cllm__fail(err, CLLM_ERR_UNSUPPORTED, "only matrices in 8 bits can be transposed after packing");
    cllm__weight *turned;
    CLLM_TRY(CLLM_NEW(turned, 1, err));
    turned->matrix = packed_like(weight->matrix.n, weight->matrix.k, CLLM__Q8_0);
    turned->blocks = weight->blocks;
    turned->quantised = turned->borrowed = true;
    turned->turned = !weight->turned;
    *out = turned;
    return CLLM_OK;
}

void cllm__weight_free(cllm__weight *weight) {
    if (weight == NULL) return;
    cllm__free(weight->panels);
    if (!weight->borrowed) cllm__blocks8_free(&weight->blocks);
    cllm__free(weight);
}

size_t cllm__weight_rows(const cllm__weight *weight) {
    return weight->matrix.k;
}

size_t cllm__weight_columns(const cllm__weight *weight) {
    return weight->matrix.n;
}

uint64_t cllm__weight_hash(const cllm__weight *weight) {
    const cllm__blocks8 *b = &weight->blocks;
    if (weight->quantised) {
        return cllm__hash(b->values, b->rows * b->blocks * CLLM__BLOCK8) ^ cllm__hash(b->scales, b->rows * b->blocks * sizeof *b->scales);
    }
    return cllm__hash(weight->panels, weight->bytes);
}

size_t cllm__weight_bytes(const cllm__weight *weight) {
    return weight->bytes;
}

size_t cllm__weight_size(size_t k, size_t n, cllm__dtype dtype) {
    packed matrix = packed_like(k, n, dtype);
    if (dtype == CLLM__Q8_0) return cllm__blocks8_bytes(&(cllm__blocks8){.rows = n, .blocks = (k + CLLM__BLOCK8 - 1) / CLLM__BLOCK8});
    return panel_count(&matrix) * panel_bytes(&matrix);
}

/* ---- Dividing ---- */

/* Columns of a piece: few enough that the cache holds them and that workers get equal shares of a product of few tiles, many
 * enough that a call pays. */
static size_t piece_width(const packed *p, size_t tiles) {
    size_t panels = panel_count(p), fit = PIECE_BYTES / (panel_bytes(p) + 1), most = tiles < FEW ? (panels + 3) / 4 : WIDEST;
    if (most > WIDEST) most = WIDEST;
    if (most > fit) most = fit > 1 ? fit : 1;
    size_t pieces = (panels + most - 1) / most;
    return (panels + pieces - 1) / pieces * CLLM__PANEL;
}

/* Numbers of a tile with a piece. */
enum { PART = TILE * WIDEST * CLLM__PANEL };

/* Heights come in two sizes at most, a multiple of four and the next one. */
enum { LOW, HIGH, HEIGHTS };
enum { PIECE, LAST_PIECE, WIDTHS };

typedef struct product {
    const cllm__ops_table *ops;
    packed w;
    float *y;
    const float *x, *bias;
    size_t ld_y, ld_x, m;
    bool add;

    bool amx;
    enum { BY_ONEDNN, BY_LOOPS, BY_TILES } way; /* tiles: of gemm_amx.h */
    size_t block;                               /* by loops: of k */
    size_t unit;  /* rows of a tile are a multiple of it */
    size_t units, tiles;
    size_t pieces, width; /* columns */

    size_t ready_from;    /* rows from here on are prepared in `ready`, those before stand in x as oneDNN wants them */
    size_t ready_rows;    /* rows that `ready` has room for */
    unsigned char *ready; /* dense, in the type of the product, its missing rows zero */
    float *parts;         /* one for each worker: a tile with a piece, as computed */
    cllm__onednn_team *teams[HEIGHTS][WIDTHS];
    atomic_bool failed;
} product;

static size_t tile_begin(const product *run, size_t tile) {
    return run->units * tile / run->tiles * run->unit;
}

static size_t element_size(const product *run) {
    return run->w.bf16 ? sizeof(uint16_t) : sizeof(float);
}

/* Whether x as it stands cannot be handed to oneDNN: wrong type, or not dense. */
static bool must_prepare(const product *run) {
    return run->w.bf16 || run->w.rounded || (run->way == BY_ONEDNN && run->ld_x != run->w.k);
}

/* The rows [begin, end) of x, dense and in the type of the product; rows that x does not have are zero. */
static void prepare_rows(const product *run, unsigned char *to, size_t begin, size_t end) {
    size_t k = run->w.k, bytes = k * element_size(run);
    if (k == 0) return;
    for (size_t i = begin; i < end; i++, to += bytes) {
        const float *from = run->x + i * run->ld_x;
        if (i >= run->m) memset(to, 0, bytes);
        else if (run->w.bf16) run->ops->to_bf16((uint16_t *)(void *)to, from, k);
        else if (run->w.rounded) run->ops->round_bf16((float *)(void *)to, from, k);
        else memcpy(to, from, bytes);
    }
}

enum { PREPARE_ROWS = 16 };

static void prepare_task(void *context, size_t index, int worker) {
    const product *run = context;
    size_t begin = index * PREPARE_ROWS, end = begin + PREPARE_ROWS < run->ready_rows ? begin + PREPARE_ROWS : run->ready_rows;
    (void)worker;
    prepare_rows(run, run->ready + begin * run->w.k * element_size(run), run->ready_from + begin, run->ready_from + end);
}

/* Of a piece with n columns: AMX has the padding of the last panel computed too. */
static size_t columns_computed(const product *run, size_t n) {
    return run->amx ? round_up(n, CLLM__PANEL) : n;
}

static void product_task(void *context, size_t index, int worker) {
    product *run = context;
    const packed *w = &run->w;
    size_t tile = index % run->tiles, first = index / run->tiles * run->width, n = w->n - first < run->width ? w->n - first : run->width;
    size_t begin = tile_begin(run, tile), height = tile_begin(run, tile + 1) - begin;
    size_t rows = run->m - begin < height ? run->m - begin : height;
    const void *x = run->x + begin * run->ld_x;
    size_t ld_x = run->ld_x;
    if (begin >= run->ready_from) {
        x = run->ready + (begin - run->ready_from) * w->k * element_size(run);
        ld_x = w->k;
    }
    const unsigned char *panels = (const unsigned char *)w->panels + first / CLLM__PANEL * panel_bytes(w);
    const float *bias = run->bias == NULL ? NULL : run->bias + first;
    float *y = run->y + begin * run->ld_y + first;
    if (run->way == BY_LOOPS) {
        run->ops->panel_product(y, run->ld_y, x, ld_x, rows, w->k, run->block, (const float *)(const void *)panels, w->k_padded, n, bias, run->add);
        return;
    }
    int high = height > run->units / run->tiles * run->unit ? HIGH : LOW;
    float *part = run->parts + (size_t)worker * PART;
    if (run->way == BY_TILES) {
        cllm__amx_product(part, x, rows, w->k, (const uint16_t *)(const void *)panels, columns_computed(run, n) / CLLM__PANEL);
    } else if (!cllm__onednn_run(run->teams[high][n == run->width ? PIECE : LAST_PIECE], worker, part, x, panels)) {
        atomic_store(&run->failed, true);
        return;
    }
    run->ops->store_rows(y, run->ld_y, part, columns_computed(run, n), rows, n, bias, run->add);
}

static void plan(product *run) {
    bool ahead = run->w.onednn && run->m <= FEW_ROWS;
    run->block = !run->w.onednn ? LOOP_BLOCK : ahead && !run->w.bf16 ? cllm__onednn_block(run->w.k) : 0;
    bool tiles = ahead && run->w.bf16 && run->w.k % CLLM__AMX_DEPTH == 0 && cllm__onednn_as_tiles();
    run->way = run->block > 0 ? BY_LOOPS : tiles ? BY_TILES : BY_ONEDNN;
    run->amx = run->w.bf16 && cllm__onednn_amx();
    run->unit = run->amx ? CLLM__AMX_UNIT : run->way == BY_LOOPS ? LOOP_ROWS : QUAD;
    run->units = (run->m + run->unit - 1) / run->unit;
    run->tiles = (run->units * run->unit + TILE - 1) / TILE;
    run->width = piece_width(&run->w, run->tiles);
    run->pieces = (run->w.n + run->width - 1) / run->width;
    bool whole = run->m % run->unit == 0;
    run->ready_from = must_prepare(run) ? 0 : run->way == BY_ONEDNN && !whole ? tile_begin(run, run->tiles - 1) : run->m;
    run->ready_rows = run->ready_from >= run->m ? 0 : run->units * run->unit - run->ready_from;
}

/* The primitives that the plan needs, with arguments for each worker. */
static cllm_status take_teams(product *run, int threads, cllm_error *err) {
    size_t low = run->units / run->tiles * run->unit, last = run->w.n - (run->pieces - 1) * run->width;
    for (size_t t = 0; t < run->tiles; t++) {
        size_t height = tile_begin(run, t + 1) - tile_begin(run, t);
        cllm__onednn_team **teams = run->teams[height > low ? HIGH : LOW];
        cllm__onednn_shape shape = {.h = height, .n = run->width, .k = run->w.k, .bf16 = run->w.bf16};
        if (teams[PIECE] == NULL && (run->pieces > 1 || last == run->width))
            CLLM_TRY(cllm__onednn_take(&teams[PIECE], shape, threads, err));
        shape.n = columns_computed(run, last);
        if (teams[LAST_PIECE] == NULL && last != run->width) CLLM_TRY(cllm__onednn_take(&teams[LAST_PIECE], shape, threads, err));
    }
    return CLLM_OK;
}

static cllm_status multiply(cllm__pool *pool, float *y, size_t ld_y, const float *x, size_t ld_x, size_t m, packed w,
                            const float *bias, bool add, cllm_error *err) {
    if (m == 0 || w.n == 0) return CLLM_OK;
    product run = {.ops = cllm__ops(), .w = w, .y = y, .x = x, .bias = bias, .ld_y = ld_y, .ld_x = ld_x, .m = m, .add = add};
    cllm_status status = CLLM_OK;
    void *scratch = NULL;
    int threads = cllm__pool_threads(pool);
    plan(&run);
    size_t ready_bytes = round_up(run.ready_rows * w.k * element_size(&run), 64);
    size_t bytes = ready_bytes + (run.way != BY_LOOPS ? (size_t)threads * PART * sizeof(float) : 0);
    if (bytes > 0) CLLM_TRY(cllm__scratch_take(&scratch, bytes, 1, err));
    run.ready = scratch;
    run.parts = (float *)(void *)(run.ready + ready_bytes);
    if (run.way == BY_ONEDNN) CLLM_TRY_CLEAN(take_teams(&run, threads, err));
    size_t groups = (run.ready_rows + PREPARE_ROWS - 1) / PREPARE_ROWS;
    cllm__pool_run(groups <= 4 ? NULL : pool, groups, prepare_task, &run);
    size_t tasks = run.tiles * run.pieces;
    cllm__pool_run(tasks == 1 ? NULL : pool, tasks, product_task, &run);
    if (atomic_load(&run.failed)) status = cllm__fail(err, CLLM_ERR_FAILED, "oneDNN could not run a product of %zu columns", w.n);
cleanup:
    for (int h = 0; h < HEIGHTS; h++)
        for (int i = 0; i < WIDTHS; i++) cllm__onednn_give(run.teams[h][i]);
    cllm__scratch_give(scratch);
    return status;
}

/* ---- Frozen matrices ---- */

/* Panels from 8 bits, a group of columns at a time. */
typedef struct unpacking {
    const cllm__ops_table *ops;
    const cllm__weight *weight;
    packed matrix; /* of the group */
    size_t first;  /* its first column */
    unsigned char *panels, *rooms;
    size_t room; /* bytes of a worker */
} unpacking;

static void unpack_task(void *context, size_t index, int worker) {
    const unpacking *run = context;
    const packed *p = &run->matrix;
    const cllm__blocks8 *b = &run->weight->blocks;
    size_t first = run->first + index * CLLM__PANEL, rest = p->n - index * CLLM__PANEL, n = rest < CLLM__PANEL ? rest : CLLM__PANEL;
    float *numbers = (float *)(void *)(run->rooms + (size_t)worker * run->room), *to = (float *)(void *)(run->panels + index * panel_bytes(p));
    if (run->weight->turned) {
        /* Rows are what the product sums over; a panel's columns are whole blocks of each. */
        size_t block = first / CLLM__BLOCK8, blocks = (n + CLLM__BLOCK8 - 1) / CLLM__BLOCK8;
        for (size_t r = 0; r < b->rows; r++) {
            size_t at = r * b->blocks + block;
            run->ops->from_blocks8(numbers + r * CLLM__PANEL, b->values + at * CLLM__BLOCK8, b->scales + at, blocks);
        }
        run->ops->pack_panel(to, numbers, CLLM__PANEL, 1, p->k, p->k_padded, n);
    } else {
        size_t at = first * b->blocks, width = b->blocks * CLLM__BLOCK8;
        run->ops->from_blocks8(numbers, b->values + at * CLLM__BLOCK8, b->scales + at, n * b->blocks);
        run->ops->pack_panel(to, numbers, 1, width, p->k, p->k_padded, n);
    }
}

static cllm_status multiply_blocks(cllm__pool *pool, float *y, size_t ld_y, const float *x, size_t ld_x, size_t m, const cllm__weight *weight,
                                   size_t first, size_t count, const float *bias, bool add, cllm_error *err) {
    size_t k = weight->matrix.k;
    unpacking run = {.ops = cllm__ops(), .weight = weight, .matrix = packed_like(k, GROUP, CLLM__F32)};
    size_t panels = round_up(panel_count(&run.matrix) * panel_bytes(&run.matrix), 64), threads = (size_t)cllm__pool_threads(pool);
    void *scratch;
    cllm_status status = CLLM_OK;
    if (m == 0 || k == 0) return multiply(pool, y, ld_y, x, ld_x, m, packed_like(k, count, CLLM__F32), bias, add, err);
    run.room = round_up(k, CLLM__BLOCK8) * CLLM__PANEL * sizeof(float);
    CLLM_TRY(cllm__scratch_take(&scratch, panels + threads * run.room, 1, err));
    run.panels = scratch;
    run.rooms = run.panels + panels;
    for (size_t c = 0; c < count && status == CLLM_OK; c += GROUP) {
        run.first = first + c;
        run.matrix = packed_like(k, count - c < GROUP ? count - c : GROUP, CLLM__F32);
        cllm__pool_run(pool, panel_count(&run.matrix), unpack_task, &run);
        run.matrix.panels = run.panels;
        status = multiply(pool, y + c, ld_y, x, ld_x, m, run.matrix, bias == NULL ? NULL : bias + c, add, err);
    }
    cllm__scratch_give(scratch);
    return status;
}

cllm_status cllm__gemm_frozen(cllm__pool *pool, cllm__real *y, size_t ld_y, const cllm__real *x, size_t ld_x, size_t m,
                              const cllm__weight *weight, const cllm__real *bias, cllm__gemm_flags flags, cllm_error *err) {
    bool add = flags == CLLM__GEMM_ADD;
    if (weight->quantised) return multiply_blocks(pool, y, ld_y, x, ld_x, m, weight, 0, weight->matrix.n, bias, add, err);
    return multiply(pool, y, ld_y, x, ld_x, m, weight->matrix, bias, add, err);
}

cllm_status cllm__gemm_frozen_columns(cllm__pool *pool, cllm__real *y, size_t ld_y, const cllm__real *x, size_t ld_x, size_t m,
                                      const cllm__weight *weight, size_t first, size_t count, cllm_error *err) {
    packed w = weight->matrix;
    CLLM_ASSERT(first % CLLM__GEMM_PANEL == 0 && first <= w.n && count <= w.n - first);
    CLLM_ASSERT(count % CLLM__GEMM_PANEL == 0 || first + count == w.n);
    if (weight->quantised) return multiply_blocks(pool, y, ld_y, x, ld_x, m, weight, first, count, NULL, false, err);
    w.panels = (const unsigned char *)w.panels + first / CLLM__PANEL * panel_bytes(&w);
    w.n = count;
    return multiply(pool, y, ld_y, x, ld_x, m, w, NULL, false, err);
}

/* ---- Operands that change ---- */

typedef struct turning {
    const cllm__ops_table *ops;
    float *to; /* [m × k_padded] */
    const float *from;
    size_t ld, m, k, k_padded;
} turning;

enum { TURN_ROWS = 32 };

static void turn_task(void *context, size_t index, int worker) {
    const turning *run = context;
    size_t begin = index * TURN_ROWS, end = begin + TURN_ROWS < run->m ? begin + TURN_ROWS : run->m;
    (void)worker;
    run->ops->transpose(run->to + begin * run->k_padded, run->k_padded, run->from + begin, run->ld, run->k, end - begin);
    for (size_t i = begin; i < end; i++)
        for (size_t p = run->k; p < run->k_padded; p++) run->to[i * run->k_padded + p] = 0;
}

/* c = aᵀ·b (+ c): k, the rows of a batch, goes in blocks of K_BLOCK, whose sums are added to c in order. A block is padded
 * with zeros to a multiple of 32, so that batches of different sizes share primitives. */
static cllm_status multiply_transposed(cllm__pool *pool, size_t m, size_t n, size_t k, const float *a, size_t ld_a, const float *b,
                                       size_t row_b, size_t column_b, bool add, float *c, size_t ld_c, cllm__dtype dtype,
                                       cllm_error *err) {
    size_t first = k < K_BLOCK ? k : K_BLOCK, padded = round_up(first, 32);
    packed like = packed_like(padded, n, dtype);
    size_t a_bytes = round_up(m * padded * sizeof(float), 64), b_bytes = panel_count(&like) * panel_bytes(&like);
    if (padded != 0 && m > SIZE_MAX / 8 / padded) return cllm__fail_nomem(err);
    void *scratch;
    cllm_status status = CLLM_OK;
    CLLM_TRY(cllm__scratch_take(&scratch, a_bytes + b_bytes, 1, err));
    for (size_t p = 0; p == 0 || p < k; p += K_BLOCK) {
        size_t count = k - p < K_BLOCK ? k - p : K_BLOCK, wide = round_up(count, 32);
        turning turn = {cllm__ops(), scratch, a + p * ld_a, ld_a, m, count, wide};
        cllm__pool_run(pool, (m + TURN_ROWS - 1) / TURN_ROWS, turn_task, &turn);
        packed w = packed_like(count, n, dtype);
        w.k_padded = wide;
        pack(pool, &w, (unsigned char *)scratch + a_bytes, b + p * row_b, row_b, column_b);
        w.k = wide;
        CLLM_TRY_CLEAN(multiply(pool, c, ld_c, turn.to, wide, m, w, NULL, add || p > 0, err));
    }
cleanup:
    cllm__scratch_give(scratch);
    return status;
}

cllm_status cllm__gemm(cllm__pool *pool, bool transpose_a, bool transpose_b, size_t m, size_t n, size_t k, const cllm__real *a,
                       size_t ld_a, const cllm__real *b, size_t ld_b, cllm__real beta, cllm__real *c, size_t ld_c,
                       cllm__dtype dtype, cllm_error *err) {
    size_t row_b = transpose_b ? 1 : ld_b, column_b = transpose_b ? ld_b : 1;
    CLLM_ASSERT(beta == 0 || beta == 1);
    if (m == 0 || n == 0) return CLLM_OK;
    if (n > SIZE_MAX / 16 - CLLM__PANEL || (k > 0 && n + CLLM__PANEL > SIZE_MAX / 16 / (k + 32))) return cllm__fail_nomem(err);
    if (transpose_a) return multiply_transposed(pool, m, n, k, a, ld_a, b, row_b, column_b, beta != 0, c, ld_c, dtype, err);
    packed w = packed_like(k, n, dtype);
    void *scratch;
    CLLM_TRY(cllm__scratch_take(&scratch, panel_count(&w) * panel_bytes(&w), 1, err));
    pack(pool, &w, scratch, b, row_b, column_b);
    cllm_status status = multiply(pool, c, ld_c, a, ld_a, m, w, NULL, beta != 0, err);
    cllm__scratch_give(scratch);
    return status;
}

#else
typedef int cllm__gemm_is_not_in_the_double_build;
#endif

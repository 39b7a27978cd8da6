/* What this build and this machine are, and whether the arithmetic and the text work on it. */
#include <json-c/json.h>
#include <lzma.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <utf8proc.h>
#include <xxhash.h>
#include <zip.h>
#include <zlib.h>
#include <zstd.h>
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "api/run.h"
#include "base/alloc.h"
#include "base/rng.h"
#include "base/threads.h"
#include "eval/blas.h"
#include "kernels/gemm.h"
#include "kernels/ops.h"
#include "text/bpe_train.h"

/* ---- Machine ---- */

static struct json_object *text_or_null(const char *text) {
    return text == NULL || text[0] == '\0' ? NULL : json_object_new_string(text);
}

/* The value of the first line of a /proc file that begins with `name`; "" if there is none. */
static void proc_value(const char *path, const char *name, char *value, size_t size) {
    char line[512];
    value[0] = '\0';
    FILE *file = fopen(path, "r");
    if (file == NULL) return;
    while (value[0] == '\0' && fgets(line, sizeof line, file) != NULL) {
        char *colon = strchr(line, ':');
        if (strncmp(line, name, strlen(name)) != 0 || colon == NULL) continue;
        colon += 1 + strspn(colon + 1, " \t");
        colon[strcspn(colon, "\n")] = '\0';
        snprintf(value, size, "%s", colon);
    }
    fclose(file);
}

static int64_t memory_kilobytes(const char *name) {
    char value[128];
    long long kilobytes = 0;
    proc_value("/proc/meminfo", name, value, sizeof value);
    return sscanf(value, "%lld", &kilobytes) == 1 ? (int64_t)kilobytes : 0;
}

static struct json_object *cpu_features(void) {
    struct json_object *list = json_object_new_array();
#if defined(__x86_64__) && defined(__GNUC__)
    __builtin_cpu_init();
#define FEATURE(name) \
    if (__builtin_cpu_supports(name)) json_object_array_add(list, json_object_new_string(name))
    FEATURE("sse4.2");
    FEATURE("avx2");
    FEATURE("fma");
    FEATURE("avx512f");
    FEATURE("avx512bw");
    FEATURE("avx512dq");
    FEATURE("avx512vl");
    FEATURE("avx512vnni");
    FEATURE("avx512bf16");
#undef FEATURE
#endif
    return list;
}

static struct json_object *machine(void) {
    struct json_object *object = json_object_new_object();
    char cpu[256];
    proc_value("/proc/cpuinfo", "model name", cpu, sizeof cpu);
    json_object_object_add(object, "cpu", text_or_null(cpu));
    json_object_object_add(object, "features", cpu_features());
    json_object_object_add(object, "processors", json_object_new_int64(sysconf(_SC_NPROCESSORS_ONLN)));
    json_object_object_add(object, "threads", json_object_new_int(cllm__threads_default()));
    json_object_object_add(object, "memory_bytes", json_object_new_int64(1024 * memory_kilobytes("MemTotal")));
    json_object_object_add(object, "available_bytes", json_object_new_int64(1024 * memory_kilobytes("MemAvailable")));
    return object;
}

static struct json_object *libraries(void) {
    struct json_object *object = json_object_new_object();
    char text[64];
    json_object_object_add(object, "json-c", json_object_new_string(json_c_version()));
    if (pcre2_config(PCRE2_CONFIG_VERSION, NULL) < (int)sizeof text && pcre2_config(PCRE2_CONFIG_VERSION, text) > 0) {
        json_object_object_add(object, "pcre2", json_object_new_string(text));
    }
    json_object_object_add(object, "zlib", json_object_new_string(zlibVersion()));
    json_object_object_add(object, "zstd", json_object_new_string(ZSTD_versionString()));
    json_object_object_add(object, "lzma", json_object_new_string(lzma_version_string()));
    json_object_object_add(object, "libzip", json_object_new_string(zip_libzip_version()));
    json_object_object_add(object, "utf8proc", json_object_new_string(utf8proc_version()));
    unsigned xxhash = XXH_versionNumber();
    snprintf(text, sizeof text, "%u.%u.%u", xxhash / 10000, xxhash / 100 % 100, xxhash % 100);
    json_object_object_add(object, "xxhash", json_object_new_string(text));
    return object;
}

static struct json_object *kernels(void) {
    struct json_object *object = json_object_new_object();
    json_object_object_add(object, "products", json_object_new_string(cllm__gemm_isa()));
    json_object_object_add(object, "operations", json_object_new_string(cllm__ops_isa()));
    json_object_object_add(object, "blas", text_or_null(cllm__blas_kernels()));
    json_object_object_add(object, "native_bf16", json_object_new_boolean(cllm__gemm_has_bf16()));
    return object;
}

/* ---- Self-test ---- */

typedef struct verdict {
    bool ok;
    char detail[160];
} verdict;

enum { M = 37, N = 61, K = 83 };

typedef struct product {
    cllm__real a[M * K], b[K * N], c[M * N], d[M * N];
} product;

/* ‖c − a·b‖ / ‖a·b‖ with the right side in double. */
static double product_error(const product *p) {
    double difference = 0, size = 0;
    for (size_t i = 0; i < M; i++) {
        for (size_t j = 0; j < N; j++) {
            double sum = 0;
            for (size_t k = 0; k < K; k++) sum += (double)p->a[i * K + k] * (double)p->b[k * N + j];
            difference += (p->c[i * N + j] - sum) * (p->c[i * N + j] - sum);
            size += sum * sum;
        }
    }
    return sqrt(difference / size);
}

static void fill_product(product *p) {
    cllm__rng rng = cllm__rng_make(1, CLLM_RNG_TEST, 0, 0);
    for (size_t i = 0; i < M * K; i++) p->a[i] = (cllm__real)cllm__rng_normal(&rng);
    for (size_t i = 0; i < K * N; i++) p->b[i] = (cllm__real)cllm__rng_normal(&rng);
}

static cllm_status check_product(verdict *v, cllm__dtype dtype, double bound, cllm_error *err) {
    product *p;
    cllm__weight *weight = NULL;
    CLLM_TRY(CLLM_NEW(p, 1, err));
    fill_product(p);
    cllm_status status = cllm__weight_pack(&weight, p->b, K, N, false, dtype, NULL, err);
    if (status == CLLM_OK) status = cllm__gemm_frozen(NULL, p->c, N, p->a, K, M, weight, NULL, CLLM__GEMM_PLAIN, err);
    if (status == CLLM_OK) {
        double error = product_error(p);
        v->ok = error < bound;
        snprintf(v->detail, sizeof v->detail, "relative error %.2g against plain loops in double (bound %.0e)", error, bound);
    }
    cllm__weight_free(weight);
    cllm__free(p);
    return status;
}

static cllm_status check_products_f32(verdict *v, cllm_error *err) {
    return check_product(v, CLLM__F32, 1e-6, err);
}

static cllm_status check_products_bf16(verdict *v, cllm_error *err) {
    return check_product(v, CLLM__BF16, 1e-2, err);
}

/* The same product on one and on several threads. */
static cllm_status check_threads(verdict *v, cllm_error *err) {
    product *p;
    cllm__pool *pool = NULL;
    CLLM_TRY(CLLM_NEW(p, 1, err));
    fill_product(p);
    cllm_status status = cllm__pool_create(&pool, 0, err);
    if (status == CLLM_OK) status = cllm__gemm(NULL, false, false, M, N, K, p->a, K, p->b, N, 0, p->c, N, CLLM__F32, err);
    if (status == CLLM_OK) status = cllm__gemm(pool, false, false, M, N, K, p->a, K, p->b, N, 0, p->d, N, CLLM__F32, err);
    if (status == CLLM_OK) {
        v->ok = memcmp(p->c, p->d, sizeof p->c) == 0;
        snprintf(v->detail, sizeof v->detail, "a product on 1 and on %d threads: %s bits", cllm__pool_threads(pool), v->ok ? "the same" : "different");
    }
    cllm__pool_free(pool);
    cllm__free(p);
    return status;
}

static cllm_status check_operations(verdict *v, cllm_error *err) {
    enum { COUNT = 257 };
    (void)err;
    cllm__real x[COUNT], y[COUNT];
    double worst = 0;
    for (size_t i = 0; i < COUNT; i++) x[i] = (cllm__real)(-8.0 + 16.0 * (double)i / (COUNT - 1));
    cllm__gelu(NULL, y, x, COUNT);
    for (size_t i = 0; i < COUNT; i++) {
        double t = x[i], expected = 0.5 * t * (1 + tanh(sqrt(2 / acos(-1.0)) * (t + 0.044715 * t * t * t)));
        worst = fmax(worst, fabs(y[i] - expected));
    }
    v->ok = worst < 1e-5;
    snprintf(v->detail, sizeof v->detail, "GELU within %.1e of its formula in double", worst);
    return CLLM_OK;
}

/* Learns a small vocabulary and brings an awkward text there and back. */
static cllm_status check_tokenizer(verdict *v, cllm_error *err) {
    static const char learnt[] = "the lamp by the window, the lamp by the door, the window and the door";
    static const char awkward[] = "the lamp\xc3\xa9 \xf0\x9f\x98\x80 item_12\t\xff\xfe the   doors";
    const size_t length = sizeof awkward - 1;
    cllm__bpe_trainer *trainer;
    cllm__tokenizer *tokenizer = NULL;
    cllm__tokens tokens = {0};
    char *back = NULL;
    size_t back_length = 0;
    CLLM_TRY(cllm__bpe_trainer_create(&trainer, err));
    cllm_status status = cllm__bpe_trainer_feed(trainer, learnt, sizeof learnt - 1, err);
    if (status == CLLM_OK) status = cllm__bpe_trainer_run(trainer, 300, 2, NULL, &tokenizer, err);
    if (status == CLLM_OK) status = cllm__tokenizer_encode(tokenizer, awkward, length, &tokens, err);
    if (status == CLLM_OK) status = cllm__tokenizer_decode(tokenizer, tokens.ids, tokens.count, &back, &back_length, err);
    if (status == CLLM_OK) {
        v->ok = back_length == length && memcmp(back, awkward, length) == 0 && tokens.count < length;
        snprintf(v->detail, sizeof v->detail, "%zu bytes to %zu tokens and %s", length, tokens.count, v->ok ? "back" : "not back");
    }
    cllm__free(back);
    cllm__tokens_free(&tokens);
    cllm__tokenizer_close(tokenizer);
    cllm__bpe_trainer_free(trainer);
    return status;
}

static struct json_object *self_test(bool *all_ok) {
    static const struct {
        const char *name;
        cllm_status (*check)(verdict *v, cllm_error *err);
    } checks[] = {{"products f32", check_products_f32}, {"products bf16", check_products_bf16}, {"threads", check_threads},
                  {"operations", check_operations}, {"tokenizer", check_tokenizer}};
    struct json_object *list = json_object_new_array();
    *all_ok = true;
    for (size_t i = 0; i < CLLM_LEN(checks); i++) {
        verdict v = {0};
        cllm_error error = {0};
        if (checks[i].check(&v, &error) != CLLM_OK) v.ok = false;
        struct json_object *check = json_object_new_object();
        json_object_object_add(check, "name", json_object_new_string(checks[i].name));
        json_object_object_add(check, "ok", json_object_new_boolean(v.ok));
        json_object_object_add(check, "detail", json_object_new_string(error.message[0] != '\0' ? error.message : v.detail));
        json_object_array_add(list, check);
        *all_ok = *all_ok && v.ok;
    }
    return list;
}

cllm_status cllm_doctor(char **json, cllm_error *err) {
    bool ok;
    struct json_object *object = json_object_new_object(), *checks = self_test(&ok);
    json_object_object_add(object, "ok", json_object_new_boolean(ok));
    json_object_object_add(object, "version", json_object_new_string(cllm_version()));
    json_object_object_add(object, "compiler", json_object_new_string(__VERSION__));
    json_object_object_add(object, "machine", machine());
    json_object_object_add(object, "kernels", kernels());
    json_object_object_add(object, "libraries", libraries());
    json_object_object_add(object, "checks", checks);
    return cllm__json_to_text(object, json, err);
}

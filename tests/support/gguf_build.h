/* Puts GGUF files together byte by byte, right ones and wrong ones. */
#ifndef TEST_GGUF_BUILD_H
#define TEST_GGUF_BUILD_H

#include <stdint.h>
#include <string.h>

typedef struct gguf_build {
    unsigned char data[1 << 16];
    size_t size;
} gguf_build;

static inline void gguf_number(gguf_build *b, uint64_t value, size_t bytes) {
    for (size_t i = 0; i < bytes; i++) b->data[b->size++] = (unsigned char)(value >> 8 * i);
}

static inline void gguf_string(gguf_build *b, const char *text) {
    gguf_number(b, strlen(text), 8);
    memcpy(b->data + b->size, text, strlen(text));
    b->size += strlen(text);
}

static inline void gguf_begin(gguf_build *b, uint32_t version, uint64_t tensors, uint64_t values) {
    b->size = 0;
    memcpy(b->data, "GGUF", 4);
    b->size = 4;
    gguf_number(b, version, 4);
    gguf_number(b, tensors, 8);
    gguf_number(b, values, 8);
}

/* Key and type; the value follows. */
static inline void gguf_key(gguf_build *b, const char *key, uint32_t kind) {
    gguf_string(b, key);
    gguf_number(b, kind, 4);
}

static inline void gguf_key_u32(gguf_build *b, const char *key, uint32_t value) {
    gguf_key(b, key, 4);
    gguf_number(b, value, 4);
}

static inline void gguf_key_string(gguf_build *b, const char *key, const char *value) {
    gguf_key(b, key, 8);
    gguf_string(b, value);
}

/* Two dimensions, the second left out if 0. */
static inline void gguf_tensor(gguf_build *b, const char *name, uint64_t columns, uint64_t rows, uint32_t type,
                               uint64_t offset) {
    gguf_string(b, name);
    gguf_number(b, rows == 0 ? 1 : 2, 4);
    gguf_number(b, columns, 8);
    if (rows != 0) gguf_number(b, rows, 8);
    gguf_number(b, type, 4);
    gguf_number(b, offset, 8);
}

static inline void gguf_pad(gguf_build *b, size_t alignment) {
    while (b->size % alignment != 0) b->data[b->size++] = 0;
}

#endif

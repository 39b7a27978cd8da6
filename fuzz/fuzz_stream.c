#include "formats/stream.h"

#include "formats/utf8.h"
#include "fuzz.h"

/* The first byte chooses the encoding and the line limit. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) return 0;
    const char *path = fuzz_file(data + 1, size - 1);
    cllm__encoding encoding = (cllm__encoding)(data[0] % 3);
    cllm__stream *stream;
    cllm_error err;
    if (cllm__stream_open(&stream, path, encoding, &err) != CLLM_OK) return 0;
    size_t limit = (data[0] & 0x80) != 0 ? 16 : CLLM_STREAM_LINE_LIMIT, total = 0;
    cllm__stream_set_line_limit(stream, limit);
    uint64_t before = 0;
    while (total < 8 << 20) { /* a few bytes can be many when they are compressed */
        char *line;
        size_t length;
        cllm_status status = cllm__stream_line(stream, &line, &length, &err);
        if (cllm__stream_failed(stream)) break;
        if (status == CLLM_OK && line == NULL) break;
        FUZZ_CHECK(cllm__stream_line_number(stream) == before + 1);
        before++;
        if (status != CLLM_OK) continue;
        FUZZ_CHECK(length <= limit && line[length] == '\0' && memchr(line, '\n', length) == NULL);
        FUZZ_CHECK(encoding == CLLM_ENCODING_BYTES || cllm__utf8_check(line, length) == length);
        total += length + 1;
    }
    cllm__stream_close(stream);
    return 0;
}

#include "formats/delimited.h"

#include "fuzz.h"

/* The first byte chooses separator, quote, header and raggedness. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) return 0;
    static const char *const separators[] = {NULL, "\t", ",", "::"}, *const names[] = {"user", "item"};
    const char *path = fuzz_file(data + 1, size - 1);
    cllm__delimited_options options = cllm__delimited_defaults();
    options.separator = separators[data[0] & 3];
    options.quote = (data[0] & 4) != 0 ? '"' : (data[0] & 8) != 0 ? CLLM_QUOTE_NONE : CLLM_QUOTE_BY_FORMAT;
    options.header = (cllm__header_mode)((data[0] >> 4 & 3) % 3);
    options.ragged = (data[0] & 0x40) != 0;
    options.names = names;
    options.n_names = 2;
    cllm__stream *stream;
    cllm__delimited *reader;
    cllm_error err;
    if (cllm__stream_open(&stream, path, CLLM_ENCODING_UTF8, &err) != CLLM_OK) return 0;
    if (cllm__delimited_open(&reader, stream, &options, &err) == CLLM_OK) {
        size_t columns = 0, rows = 0;
        cllm__delimited_header(reader, &columns);
        cllm__delimited_column(reader, "user");
        while (rows++ < 100000) {
            cllm__field *fields;
            size_t count;
            cllm_status status = cllm__delimited_next(reader, &fields, &count, &err);
            if (cllm__stream_failed(stream) || (status == CLLM_OK && fields == NULL)) break;
            if (status != CLLM_OK) continue;
            FUZZ_CHECK(options.ragged || columns == 0 || count == columns);
            if (!options.ragged) columns = count;
            for (size_t i = 0; i < count; i++) FUZZ_CHECK(strlen(fields[i].text) == fields[i].length);
        }
        cllm__delimited_free(reader);
    }
    cllm__stream_close(stream);
    return 0;
}

# Everything comes from Debian 12; tools/install-packages lists the packages.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
# Not through its CMake package, which also asks for the OpenCL headers that we don't use.
find_library(DNNL_LIBRARY dnnl REQUIRED)
find_path(DNNL_INCLUDE dnnl.h REQUIRED)
pkg_check_modules(JSONC REQUIRED IMPORTED_TARGET json-c)
pkg_check_modules(PCRE2 REQUIRED IMPORTED_TARGET libpcre2-8)
pkg_check_modules(ZLIB REQUIRED IMPORTED_TARGET zlib)
pkg_check_modules(ZSTD REQUIRED IMPORTED_TARGET libzstd)
pkg_check_modules(LZMA REQUIRED IMPORTED_TARGET liblzma)
pkg_check_modules(LIBZIP REQUIRED IMPORTED_TARGET libzip)
pkg_check_modules(XXHASH REQUIRED IMPORTED_TARGET libxxhash)
pkg_check_modules(UTF8PROC REQUIRED IMPORTED_TARGET libutf8proc)
pkg_check_modules(LAPACKE REQUIRED IMPORTED_TARGET lapacke)
pkg_check_modules(BLAS REQUIRED IMPORTED_TARGET blas)
find_path(RANDOM123_INCLUDE Random123/philox.h REQUIRED)

add_library(cllm_dependencies INTERFACE)
target_link_libraries(cllm_dependencies INTERFACE ${DNNL_LIBRARY} PkgConfig::JSONC PkgConfig::PCRE2 PkgConfig::ZLIB
  PkgConfig::ZSTD PkgConfig::LZMA PkgConfig::LIBZIP PkgConfig::XXHASH PkgConfig::UTF8PROC PkgConfig::LAPACKE PkgConfig::BLAS
  gomp Threads::Threads m) # gomp: oneDNN's threads, of which kernels/gemm_onednn.c wants one
target_include_directories(cllm_dependencies SYSTEM INTERFACE ${RANDOM123_INCLUDE} ${DNNL_INCLUDE})

add_library(cllm_flags INTERFACE)
target_compile_options(cllm_flags INTERFACE -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wconversion
  -Wno-sign-conversion -ffp-contract=off -fno-math-errno)
target_compile_definitions(cllm_flags INTERFACE _POSIX_C_SOURCE=200809L)
if(CLLM_WERROR)
  target_compile_options(cllm_flags INTERFACE -Werror)
endif()
if(CLLM_SANITIZE)
  target_compile_options(cllm_flags INTERFACE -fsanitize=${CLLM_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  target_link_options(cllm_flags INTERFACE -fsanitize=${CLLM_SANITIZE})
endif()
if(CLLM_COVERAGE)
  target_compile_options(cllm_flags INTERFACE --coverage)
  target_link_options(cllm_flags INTERFACE --coverage)
endif()

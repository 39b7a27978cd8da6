# Included for each build of this layer. The operations are compiled once per instruction set, each with flags of its own;
# everything else, the dispatcher above all, at the baseline. No flag here changes the meaning of a floating-point operation:
# -fno-trapping-math only says that nobody looks at the exception flags, which the vectoriser needs to know. gcc would unroll
# a loop of 16 lanes inside other loops before it vectorises, and then cannot; the parameter keeps it from that.
set(loops -O3 -fno-trapping-math $<$<C_COMPILER_ID:GNU>:--param=max-completely-peel-times=8>)
set_source_files_properties(${CMAKE_SOURCE_DIR}/src/kernels/ops_baseline.c PROPERTIES COMPILE_OPTIONS "${loops}")
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64" AND suffix STREQUAL "")
  set_source_files_properties(${CMAKE_SOURCE_DIR}/src/kernels/ops_avx2.c PROPERTIES
    COMPILE_OPTIONS "${loops};-mavx2;-mfma;-mf16c")
  set_source_files_properties(${CMAKE_SOURCE_DIR}/src/kernels/ops_avx512.c PROPERTIES
    COMPILE_OPTIONS "${loops};-mavx512f;-mavx512bw;-mavx512dq;-mavx512vl;-mfma;-mf16c;-mprefer-vector-width=512")
  set_source_files_properties(${CMAKE_SOURCE_DIR}/src/kernels/peak_bf16.c PROPERTIES
    COMPILE_OPTIONS "${loops};-mavx512f;-mavx512bw;-mavx512bf16")
  set_source_files_properties(${CMAKE_SOURCE_DIR}/src/kernels/gemm_amx.c ${CMAKE_SOURCE_DIR}/src/kernels/peak_amx.c PROPERTIES
    COMPILE_OPTIONS "${loops};-mamx-tile;-mamx-bf16")
endif()

# What `make install` puts where: program, header, both libraries, pkg-config and CMake packages, man page. DESTDIR is honoured.
include(CMakePackageConfigHelpers)

install(TARGETS cllm4rec_static cllm4rec_shared cllm4rec
  RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR}
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(FILES include/cllm4rec/cllm4rec.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/cllm4rec)

# The man page: what is written in docs, with the options that the program knows.
add_custom_command(OUTPUT ${CMAKE_BINARY_DIR}/cllm4rec.1
  COMMAND sh ${CMAKE_SOURCE_DIR}/tools/man-page $<TARGET_FILE:cllm4rec> ${CMAKE_SOURCE_DIR}/docs/cllm4rec.1 ${CMAKE_BINARY_DIR}/cllm4rec.1
  DEPENDS cllm4rec docs/cllm4rec.1 tools/man-page VERBATIM)
add_custom_target(man_page ALL DEPENDS ${CMAKE_BINARY_DIR}/cllm4rec.1)
install(FILES ${CMAKE_BINARY_DIR}/cllm4rec.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)

# What a program that links the static library has to link besides.
set(CLLM_PRIVATE_LIBS_LIST -ldnnl ${JSONC_LDFLAGS} ${PCRE2_LDFLAGS} ${ZLIB_LDFLAGS} ${ZSTD_LDFLAGS} ${LZMA_LDFLAGS} ${LIBZIP_LDFLAGS}
  ${XXHASH_LDFLAGS} ${UTF8PROC_LDFLAGS} ${LAPACKE_LDFLAGS} ${BLAS_LDFLAGS} -lgomp -lpthread -lm)
list(JOIN CLLM_PRIVATE_LIBS_LIST " " CLLM_PRIVATE_LIBS)

# The prefix is known only when it is installed (cmake --install --prefix), so the .pc file is made then.
foreach(which LIBDIR INCLUDEDIR)
  if(IS_ABSOLUTE ${CMAKE_INSTALL_${which}})
    set(CLLM_PC_${which} ${CMAKE_INSTALL_${which}})
  else()
    set(CLLM_PC_${which} "\${prefix}/${CMAKE_INSTALL_${which}}")
  endif()
endforeach()
configure_file(cmake/make_pc.cmake.in make_pc.cmake @ONLY)
install(SCRIPT ${CMAKE_BINARY_DIR}/make_pc.cmake)

set(package ${CMAKE_INSTALL_LIBDIR}/cmake/cllm4rec)
configure_package_config_file(cmake/cllm4recConfig.cmake.in cllm4recConfig.cmake INSTALL_DESTINATION ${package}
  PATH_VARS CMAKE_INSTALL_LIBDIR CMAKE_INSTALL_INCLUDEDIR)
write_basic_package_version_file(cllm4recConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/cllm4recConfig.cmake ${CMAKE_BINARY_DIR}/cllm4recConfigVersion.cmake DESTINATION ${package})

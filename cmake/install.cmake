# `cmake --install`: the program, its data under share/simulate (found beside the program's prefix), the library's
# headers and a CMake package: find_package(simulate), then link simulate::study.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

get_property(rooms GLOBAL PROPERTY SIMULATE_ROOMS)
install(TARGETS simulate RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(TARGETS simulate_options ${rooms} EXPORT simulateTargets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY ${CMAKE_SOURCE_DIR}/sim DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/simulate FILES_MATCHING PATTERN "*.h")
foreach(folder models hardware scenarios schema)
  if(IS_DIRECTORY ${CMAKE_SOURCE_DIR}/${folder})
    install(DIRECTORY ${CMAKE_SOURCE_DIR}/${folder} DESTINATION ${CMAKE_INSTALL_DATADIR}/simulate)
  endif()
endforeach()
# The manual page and the completion scripts are made by the program from its own help.
set(self ${CMAKE_BINARY_DIR}/self)
set(self_files simulate.1 simulate.bash _simulate simulate.fish)
list(TRANSFORM self_files PREPEND ${self}/)
add_custom_command(OUTPUT ${self_files}
  COMMAND ${CMAKE_COMMAND} -E make_directory ${self}
  COMMAND simulate man > ${self}/simulate.1
  COMMAND simulate completion bash > ${self}/simulate.bash
  COMMAND simulate completion zsh > ${self}/_simulate
  COMMAND simulate completion fish > ${self}/simulate.fish
  DEPENDS simulate)
add_custom_target(self_description ALL DEPENDS ${self_files})
install(FILES ${self}/simulate.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1 OPTIONAL)
install(FILES ${self}/simulate.bash DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions RENAME simulate OPTIONAL)
install(FILES ${self}/_simulate DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/site-functions OPTIONAL)
install(FILES ${self}/simulate.fish DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d OPTIONAL)
install(FILES ${CMAKE_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})

set(package ${CMAKE_INSTALL_LIBDIR}/cmake/simulate)
install(EXPORT simulateTargets NAMESPACE simulate:: DESTINATION ${package})
write_basic_package_version_file(${CMAKE_BINARY_DIR}/simulateConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_SOURCE_DIR}/cmake/simulateConfig.cmake ${CMAKE_BINARY_DIR}/simulateConfigVersion.cmake
        DESTINATION ${package})

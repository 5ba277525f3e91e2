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
install(FILES ${CMAKE_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})

set(package ${CMAKE_INSTALL_LIBDIR}/cmake/simulate)
install(EXPORT simulateTargets NAMESPACE simulate:: DESTINATION ${package})
write_basic_package_version_file(${CMAKE_BINARY_DIR}/simulateConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_SOURCE_DIR}/cmake/simulateConfig.cmake ${CMAKE_BINARY_DIR}/simulateConfigVersion.cmake
        DESTINATION ${package})

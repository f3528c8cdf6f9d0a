# Where files go, and the packages made of them: `cpack` in the build folder writes a .deb and a
# .tar.gz.  The units name the program by its full path, so the prefix is /usr unless one is given.
if(CMAKE_INSTALL_PREFIX_INITIALIZED_TO_DEFAULT)
    set(CMAKE_INSTALL_PREFIX /usr CACHE PATH "Where to install" FORCE)
endif()
include(GNUInstallDirs)

set(units ${CMAKE_CURRENT_BINARY_DIR}/systemd)
foreach(unit crossfade crossfade-proxy crossfade-shifter crossfade-hook@)
    configure_file(systemd/${unit}.service.in ${units}/${unit}.service @ONLY)
    install(FILES ${units}/${unit}.service DESTINATION lib/systemd/system)
endforeach()
configure_file(systemd/postinst.in ${units}/postinst @ONLY
    FILE_PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)

install(TARGETS crossfade RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(FILES systemd/crossfade.sysusers DESTINATION lib/sysusers.d RENAME crossfade.conf)
install(FILES systemd/crossfade.tmpfiles DESTINATION lib/tmpfiles.d RENAME crossfade.conf)
install(FILES README.md LICENSE CHANGELOG.md SECURITY.md config/KEYS.md shifter/API.md shifter/openapi.json
    shifter/JOURNAL.md shifter/journal_roles.sql shifter/KONG.md shifter/PIPELINES.md shifter/STORE.md
    DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(FILES config/samples/full.yaml config/samples/minimal.yaml
    DESTINATION ${CMAKE_INSTALL_DOCDIR}/samples)
install(DIRECTORY shifter/monitoring DESTINATION ${CMAKE_INSTALL_DOCDIR})

set(CPACK_GENERATOR DEB TGZ)
set(CPACK_PACKAGING_INSTALL_PREFIX ${CMAKE_INSTALL_PREFIX})
set(CPACK_PACKAGE_CONTACT "The crossfade maintainers <maintainers@crossfade.example>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "${PROJECT_DESCRIPTION}")
set(CPACK_RESOURCE_FILE_LICENSE ${PROJECT_SOURCE_DIR}/LICENSE)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION net)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS tzdata)
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA ${units}/postinst)
include(CPack)

# The dashboard: the page's files are put into the program as they are.
set(dashboard_files
    index.html
    dashboard.css
    dashboard.js
    api.js
    dom.js
    events.js
    feed.js
    icon.svg
    overview.js
    plan.js
    tables.js
    verbs.js
    view.js
    words.js)
list(TRANSFORM dashboard_files PREPEND ${CMAKE_CURRENT_SOURCE_DIR}/dashboard/
     OUTPUT_VARIABLE dashboard_sources)
list(JOIN dashboard_files "|" dashboard_names)
add_custom_command(
    OUTPUT ${CMAKE_CURRENT_BINARY_DIR}/dashboard_files.c
    COMMAND ${CMAKE_COMMAND} -DFOLDER=${CMAKE_CURRENT_SOURCE_DIR}/dashboard
            -DFILES=${dashboard_names} -DOUT=${CMAKE_CURRENT_BINARY_DIR}/dashboard_files.c
            -P ${PROJECT_SOURCE_DIR}/cmake/embed.cmake
    DEPENDS ${dashboard_sources} ${PROJECT_SOURCE_DIR}/cmake/embed.cmake
    COMMENT "Embedding the dashboard"
    VERBATIM)
target_sources(xf_shifter PRIVATE dashboard.c ${CMAKE_CURRENT_BINARY_DIR}/dashboard_files.c)

# embed.cmake -- run by the build: writes OUT, a C source with the files of FOLDER named in FILES
# (parted by |) as the table that shifter/dashboard/dashboard.h declares.
string(REPLACE "|" ";" names "${FILES}")
set(arrays "")
set(table "")
foreach(name IN LISTS names)
    file(READ "${FOLDER}/${name}" hex HEX)
    file(SHA256 "${FOLDER}/${name}" digest)
    string(SUBSTRING "${digest}" 0 32 etag)
    string(REGEX REPLACE "([0-9a-f][0-9a-f])" "'\\\\x\\1'," bytes "${hex}")
    string(MAKE_C_IDENTIFIER "${name}" id)
    string(APPEND arrays "static const char ${id}[] = {${bytes}};\n")

    if(name STREQUAL "index.html")
        set(path "/")
    elseif(name MATCHES "^dashboard\\.")
        set(path "/${name}")
    else()
        set(path "/dashboard/${name}")
    endif()
    if(name MATCHES "\\.html$")
        set(type "text/html; charset=utf-8")
    elseif(name MATCHES "\\.js$")
        set(type "text/javascript; charset=utf-8")
    elseif(name MATCHES "\\.css$")
        set(type "text/css; charset=utf-8")
    elseif(name MATCHES "\\.svg$")
        set(type "image/svg+xml")
    else()
        message(FATAL_ERROR "${name}: no type is known for it")
    endif()
    string(APPEND table
        "    {\"${path}\", \"${type}\", \"\\\"${etag}\\\"\", ${id}, sizeof(${id})},\n")
endforeach()
file(WRITE "${OUT}" "/* Made by cmake/embed.cmake of shifter/dashboard/. */
#include \"shifter/dashboard/dashboard.h\"

${arrays}
const struct xf_dashboard_file xf_dashboard_files[] = {
${table}    {0},
};
")

# Warnings, hardening and sanitizers live on one INTERFACE target; nothing is global.
add_library(xf_flags INTERFACE)
target_compile_features(xf_flags INTERFACE c_std_17)
target_compile_definitions(xf_flags INTERFACE _GNU_SOURCE XF_VERSION="${PROJECT_VERSION}")
target_include_directories(xf_flags INTERFACE ${PROJECT_SOURCE_DIR})
# -Wformat-truncation guesses lengths and changes its mind with the optimisation level: texts for people
# are cut by snprintf on purpose.
target_compile_options(xf_flags INTERFACE
    -std=gnu17 -Wall -Wextra -Werror -Wshadow -Wpointer-arith -Wwrite-strings -Wvla
    -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition -Wundef
    -Wformat=2 -Wno-format-truncation -Wimplicit-fallthrough -fno-common -fno-strict-aliasing
    -fstack-protector-strong -fPIE)
target_link_options(xf_flags INTERFACE -pie -Wl,-z,relro -Wl,-z,now)
if(XF_SANITIZE)
    target_compile_options(xf_flags INTERFACE -fsanitize=address,undefined
        -fno-sanitize-recover=undefined -fno-omit-frame-pointer)
    target_link_options(xf_flags INTERFACE -fsanitize=address,undefined)
elseif(NOT XF_COVERAGE AND NOT XF_FUZZ)
    target_compile_options(xf_flags INTERFACE $<$<CONFIG:Release>:-D_FORTIFY_SOURCE=2>)
endif()
if(XF_FUZZ)
    # Warnings are gcc's business: clang's must not keep a fuzz target from being built.
    target_compile_options(xf_flags INTERFACE -Wno-error -fsanitize=fuzzer-no-link,address,undefined
        -fprofile-instr-generate -fcoverage-mapping)
    target_link_options(xf_flags INTERFACE -fsanitize=address,undefined
        -fprofile-instr-generate -fcoverage-mapping)
endif()
if(XF_COVERAGE)
    target_compile_options(xf_flags INTERFACE --coverage)
    target_link_options(xf_flags INTERFACE --coverage)
endif()

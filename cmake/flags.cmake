# Flags for every target of ours.
add_compile_options(-Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Wunused -Wno-missing-field-initializers)
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -DNDEBUG")
# What sanitizers put in takes the optimizer as long as all the rest of the compiler, and the tests run long enough without.
if(NOT SANDY_SANITIZER)
  add_compile_options($<$<CONFIG:Debug>:-O1>)
endif()
add_compile_options($<$<CONFIG:Debug>:-g1>)
# Without its time in it, a precompiled header is the same in every clone, and the compiler cache finds what uses it.
add_compile_options("$<$<AND:$<COMPILE_LANGUAGE:CXX>,$<CXX_COMPILER_ID:Clang>>:SHELL:-Xclang -fno-pch-timestamp>")
add_compile_definitions(BOOST_ASIO_SEPARATE_COMPILATION BOOST_BEAST_SEPARATE_COMPILATION BOOST_ASIO_NO_DEPRECATED)
# Freed coroutine frames that a thread keeps for reuse. A request nests a dozen; the default of 2 sends the rest to malloc.
add_compile_definitions(BOOST_ASIO_RECYCLING_ALLOCATOR_CACHE_SIZE=16)
add_link_options(-fuse-ld=lld)
if(SANDY_SANITIZER)
  add_compile_options(-fsanitize=${SANDY_SANITIZER} -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${SANDY_SANITIZER})
endif()

# A room: one static library, its headers included from the root of the tree ("messages/error.hpp").
function(sandy_room name)
  cmake_parse_arguments(ROOM "" "" "SOURCES;LINK" ${ARGN})
  add_library(sandy_${name} STATIC ${ROOM_SOURCES})
  target_include_directories(sandy_${name} PUBLIC ${PROJECT_SOURCE_DIR})
  target_link_libraries(sandy_${name} PUBLIC ${ROOM_LINK})
endfunction()

# A Catch2 executable and its CTest entry. LABEL: unit (no rights needed) or privileged (root, real kernel objects). CASES: which of its
# cases are run, all unless told.
function(sandy_test name)
  cmake_parse_arguments(TEST "" "LABEL;CASES" "SOURCES;LINK" ${ARGN})
  add_executable(${name} ${TEST_SOURCES})
  target_link_libraries(${name} PRIVATE ${TEST_LINK} sandy_catch_main)
  # What is tested is optimized; optimizing the tests takes the compiler two to four times as long as the rest of them.
  target_compile_options(${name} PRIVATE -O0)
  add_test(NAME ${name} COMMAND ${name} ${TEST_CASES})
  set_tests_properties(${name} PROPERTIES LABELS "${TEST_LABEL}" TIMEOUT 600)
endfunction()

# A libFuzzer target (LLVMFuzzerTestOneInput) and its CTest entry: a fixed number of inputs, from a fixed seed. Only in the
# address sanitizer's build; a fuzzer of its own runs longer there: build/asan/<name> -max_total_time=600
function(sandy_fuzz_test name)
  cmake_parse_arguments(TEST "" "" "SOURCES;LINK" ${ARGN})
  if(NOT SANDY_SANITIZER MATCHES "address")
    return()
  endif()
  add_executable(${name} ${TEST_SOURCES})
  target_compile_options(${name} PRIVATE -fsanitize=fuzzer)
  target_link_options(${name} PRIVATE -fsanitize=fuzzer)
  target_link_libraries(${name} PRIVATE ${TEST_LINK})
  add_test(NAME ${name} COMMAND ${name} -runs=20000 -seed=1)
  set_tests_properties(${name} PROPERTIES LABELS unit TIMEOUT 600)
endfunction()

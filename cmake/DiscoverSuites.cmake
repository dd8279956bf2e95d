# longspan_discover_suites(TARGET): each suite of a GoogleTest binary is a test of ctest, listed when
# the binary is built. Not each test, as with gtest_discover_tests: LibTorch takes longer to start than
# most of them to run.
if(CMAKE_SCRIPT_MODE_FILE)
  execute_process(COMMAND ${BINARY} --gtest_list_tests OUTPUT_VARIABLE listed
                  COMMAND_ERROR_IS_FATAL ANY)
  string(REGEX MATCHALL "\n[A-Za-z0-9_/]+\\." suites "\n${listed}")
  set(tests "")
  foreach(suite IN LISTS suites)
    string(REGEX MATCH "[A-Za-z0-9_/]+" suite ${suite})
    string(APPEND tests "add_test([==[${NAME}.${suite}]==] [==[${BINARY}]==] "
                        "[==[--gtest_filter=${suite}.*]==])\n"
                        "set_tests_properties([==[${NAME}.${suite}]==] PROPERTIES "
                        "SKIP_RETURN_CODE 77)\n")
  endforeach()
  file(WRITE ${OUTPUT} "${tests}")
  return()
endif()

set(DISCOVER_SUITES ${CMAKE_CURRENT_LIST_FILE})
function(longspan_discover_suites target)
  set(suites ${CMAKE_CURRENT_BINARY_DIR}/${target}_suites.cmake)
  add_custom_command(
    TARGET ${target} POST_BUILD BYPRODUCTS ${suites} VERBATIM
    COMMAND ${CMAKE_COMMAND} -D BINARY=$<TARGET_FILE:${target}> -D NAME=${target} -D OUTPUT=${suites}
            -P ${DISCOVER_SUITES})
  set(include ${CMAKE_CURRENT_BINARY_DIR}/${target}_include.cmake)
  file(WRITE ${include} "if(EXISTS [==[${suites}]==])\n  include([==[${suites}]==])\nelse()\n"
                        "  add_test(${target} ${target}_is_not_built)\nendif()\n")
  set_property(DIRECTORY APPEND PROPERTY TEST_INCLUDE_FILES ${include})
endfunction()

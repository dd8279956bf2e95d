# LibTorch as LibTorch::LibTorch and, if it is one for CUDA, what plugins link as LibTorch::c10_cuda.
# Looked for in Torch_ROOT, then CMAKE_PREFIX_PATH, then the torch wheel of .venv or of the python3 on
# PATH (found, never imported). Change it in a fresh build folder.
set(_hints ${Torch_ROOT} $ENV{Torch_ROOT})
foreach(_prefix IN LISTS CMAKE_PREFIX_PATH Torch_DIR)
  list(APPEND _hints ${_prefix} ${_prefix}/../.. ${_prefix}/../../..)
endforeach()
if(NOT Torch_ROOT)
  find_program(LIBTORCH_PYTHON NAMES python3 HINTS ${PROJECT_SOURCE_DIR}/.venv/bin)
  execute_process(
    COMMAND ${LIBTORCH_PYTHON} -c
            "import importlib.util as u,os;s=u.find_spec('torch');print(os.path.dirname(s.origin) if s else '',end='')"
    OUTPUT_VARIABLE _wheel ERROR_QUIET)
endif()
find_path(LibTorch_INCLUDE_DIR ATen/ATen.h HINTS ${_hints} ${_wheel} PATH_SUFFIXES include
          NO_DEFAULT_PATH)
if(LibTorch_INCLUDE_DIR)
  get_filename_component(_root ${LibTorch_INCLUDE_DIR} DIRECTORY)
  file(STRINGS ${LibTorch_INCLUDE_DIR}/torch/headeronly/version.h _version
       REGEX "define TORCH_VERSION_(MAJOR|MINOR|PATCH) ")
  string(REGEX REPLACE "[^0-9;]" "" _version "${_version}")
  string(REPLACE ";" "." LibTorch_VERSION "${_version}")
endif()
foreach(_library torch_cpu c10 c10_cuda)
  find_library(LibTorch_${_library}_LIBRARY ${_library} HINTS ${_root}/lib NO_DEFAULT_PATH)
endforeach()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(
  LibTorch
  VERSION_VAR LibTorch_VERSION
  HANDLE_VERSION_RANGE
  REQUIRED_VARS LibTorch_torch_cpu_LIBRARY LibTorch_c10_LIBRARY LibTorch_INCLUDE_DIR
  REASON_FAILURE_MESSAGE
    "run tools/setup.sh, which installs the torch wheel into .venv, or give -DCMAKE_PREFIX_PATH=<libtorch>")

if(LibTorch_FOUND AND NOT TARGET LibTorch::LibTorch)
  foreach(_library torch_cpu c10 c10_cuda)
    if(LibTorch_${_library}_LIBRARY)
      add_library(LibTorch::${_library} SHARED IMPORTED)
      set_target_properties(LibTorch::${_library} PROPERTIES IMPORTED_LOCATION
                                                             ${LibTorch_${_library}_LIBRARY})
    endif()
  endforeach()
  add_library(LibTorch::LibTorch INTERFACE IMPORTED)
  target_include_directories(
    LibTorch::LibTorch SYSTEM INTERFACE ${LibTorch_INCLUDE_DIR}
                                        ${LibTorch_INCLUDE_DIR}/torch/csrc/api/include)
  # Without it ATen/TensorOperators.h drags in every operator there is.
  target_compile_definitions(LibTorch::LibTorch INTERFACE AT_PER_OPERATOR_HEADERS)
  target_compile_features(LibTorch::LibTorch INTERFACE cxx_std_20)
  target_link_libraries(LibTorch::LibTorch INTERFACE LibTorch::torch_cpu LibTorch::c10)
endif()

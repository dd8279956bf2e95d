# longspan_cuda: our CUDA kernels, a module beside the program, which loads it when it is to use a
# GPU (src/core/cuda.h) and so links nothing of CUDA. A target of its own where nvcc and a LibTorch
# for CUDA are: nvcc takes minutes, and nothing else waits for it.
include(CheckLanguage)
check_language(CUDA)
if(NOT CMAKE_CUDA_COMPILER OR NOT TARGET LibTorch::c10_cuda)
  message(STATUS "CUDA plugin: not built, for want of nvcc or of a LibTorch for CUDA")
  return()
endif()
set(CMAKE_CUDA_ARCHITECTURES 80 90)
set(CMAKE_CUDA_RUNTIME_LIBRARY None) # LibTorch brings its own
if(CCACHE)
  set(CMAKE_CUDA_COMPILER_LAUNCHER ${CCACHE})
endif()
enable_language(CUDA)
set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION -std=c++20) # which CMake 3.25 does not know of nvcc 13
message(STATUS "CUDA plugin: built by ${CMAKE_CUDA_COMPILER} ${CMAKE_CUDA_COMPILER_VERSION}")

file(GLOB CUDA_SOURCES CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/attention/kernels/cuda/*.cu
     ${PROJECT_SOURCE_DIR}/src/nn/kernels/cuda/*.cu)
add_library(longspan_cuda MODULE EXCLUDE_FROM_ALL ${CUDA_SOURCES})
set_target_properties(longspan_cuda PROPERTIES PREFIX "")
target_include_directories(longspan_cuda PRIVATE ${PROJECT_SOURCE_DIR})
target_link_libraries(longspan_cuda PRIVATE LibTorch::LibTorch LibTorch::c10_cuda)
# LibTorch's headers call host constexpr functions on the device.
target_compile_options(
  longspan_cuda PRIVATE --expt-relaxed-constexpr -Xcompiler=-Wall,-Wextra
                        $<$<BOOL:${LONGSPAN_WERROR}>:-Werror=all-warnings>
                        $<$<BOOL:${LONGSPAN_WERROR}>:-Xcompiler=-Werror>)
install(TARGETS longspan_cuda LIBRARY DESTINATION bin OPTIONAL)

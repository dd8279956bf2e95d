#!/usr/bin/env bash
# Sets up, builds and runs every test, the end-to-end ones with the real transformers and PEFT (in
# .venv-test, 6 GB). Its exit status is ctest's. With LONGSPAN_CUDA=1 or CI=true, and nvcc, the CUDA
# plugin is built too: it compiles and links without a GPU.
set -euo pipefail
cd "$(dirname "$0")/.."

# The page of `longspan report`; other processors; completions and manual pages.
tools/setup.sh chromium qemu-user zsh fish groff
cmake -S . -B build -DLONGSPAN_REQUIRE_PEERS=ON >/dev/null
cmake --build build
if [[ ${LONGSPAN_CUDA:-} == 1 || ${CI:-} == true ]] &&
  cmake --build build --target help | grep '^longspan_cuda:' >/dev/null; then
  cmake --build build --target longspan_cuda
fi
[[ -x .venv-test/bin/pip ]] || python3 -m venv .venv-test
.venv-test/bin/pip install -q --disable-pip-version-check -r tests/end_to_end/requirements.txt
# Its vocabularies alone: it asks for an older numpy than the other packages.
.venv-test/bin/pip install -q --disable-pip-version-check --no-deps mistral-common==1.13.1
# Threads that wait by spinning would take the processors from the test beside.
exec env OMP_WAIT_POLICY=passive ctest --test-dir build -j "$(nproc)" --output-on-failure

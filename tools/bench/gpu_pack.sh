#!/usr/bin/env bash
# Packs what tools/bench/gpu.sh needs where nothing can be built: programs, tests and the CUDA plugin,
# stripped, and the libraries that they want besides LibTorch's, CUDA's and the C library's.
#
#   tools/bench/gpu_pack.sh OUT.tar.xz
#
# There, with a Python that has the torch that they were built with:
#   tar xf OUT.tar.xz && gpu/tools/bench/gpu.sh TOKENIZER TEXT RESULTS
#
# LONGSPAN_BUILD names the folder with longspan, bench and tests/ (build), LONGSPAN_PLUGIN that of
# longspan_cuda.so (the same).
set -euo pipefail

(($# == 1)) || { sed -n '2,12s/^# \{0,1\}//p' "$0" >&2; exit 2; }
out=$(realpath "$1")
cd "$(dirname "$0")/../.."
build=${LONGSPAN_BUILD:-build}
plugin=${LONGSPAN_PLUGIN:-$build}/longspan_cuda.so
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

mkdir -p "$work/gpu/tools/bench" "$work/gpu/build/tests" "$work/gpu/lib"
cp tools/bench/gpu.sh tools/bench/attention_rates.py tools/bench/peer_step.py "$work/gpu/tools/bench/"
programs=(longspan bench tests/model_test tests/trainer_test)
for program in "${programs[@]}"; do
  strip -o "$work/gpu/build/$program" "$build/$program"
done
strip -o "$work/gpu/build/longspan_cuda.so" "$plugin"

# name => path of each library; those of a wheel and of the C library stay behind.
for program in "${programs[@]}"; do ldd "$build/$program"; done |
  awk '$2 == "=>" && $3 ~ /^\// {print $3}' | sort -u |
  grep -vE '/(site-packages|libtorch)/|/(libc|libm|libdl|libpthread|librt|libgcc_s|ld-linux[^/]*)\.so' |
  while read -r library; do cp -L "$library" "$work/gpu/lib/"; done

tar -C "$work" -cJf "$out" gpu
echo "$out: $(du -h "$out" | cut -f1)"

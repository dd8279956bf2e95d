#!/usr/bin/env bash
# Packs what tools/bench/gpu.sh and gpu_study.py need where nothing can be built: programs, tests and the
# CUDA plugin, stripped, the libraries that they want besides LibTorch's, CUDA's and the C library's, and
# recipes and studies.
#
#   tools/bench/gpu_pack.sh OUT.tar.xz [FILE|FOLDER...]    what is named comes along as gpu/data/
#
# There, with a Python that has the torch that they were built with:
#   tar xf OUT.tar.xz && gpu/tools/bench/gpu.sh TOKENIZER TEXT RESULTS
#   cd gpu && tools/bench/gpu_study.py docs/results/first-round full-lora --base data/MODEL.gguf --texts data/train \
#     --held-out data/valid --out RESULTS
#
# LONGSPAN_BUILD names the folder with longspan, bench and tests/ (build), LONGSPAN_PLUGIN that of
# longspan_cuda.so (the same). LONGSPAN_PART=60M makes parts of that size, OUT.tar.xz.00 and so on, for a
# machine that takes no more at once: cat OUT.tar.xz.* | tar xJ.
set -euo pipefail

(($# >= 1)) || { sed -n '2,15s/^# \{0,1\}//p' "$0" >&2; exit 2; }
out=$(realpath "$1")
shift
data=()
for given in "$@"; do data+=("$(realpath "$given")"); done
cd "$(dirname "$0")/../.."
build=${LONGSPAN_BUILD:-build}
plugin=${LONGSPAN_PLUGIN:-$build}/longspan_cuda.so
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

mkdir -p "$work/gpu/build/tests" "$work/gpu/lib" "$work/gpu/data"
cp --parents tools/bench/gpu.sh tools/bench/gpu_study.py tools/bench/study.py tools/bench/attention_rates.py \
  tools/bench/peer_step.py recipes/*.yaml docs/results/*/study.toml "$work/gpu/"
((${#data[@]} == 0)) || cp -RL "${data[@]}" "$work/gpu/data/"
programs=(longspan bench tests/model_test tests/trainer_test)
for program in "${programs[@]}"; do
  strip -o "$work/gpu/build/$program" "$build/$program"
done
strip -o "$work/gpu/build/longspan_cuda.so" "$plugin"

# name => path of each library; those of a wheel and of the C library stay behind.
for program in "${programs[@]}"; do ldd "$build/$program"; done |
  awk '$2 == "=>" && $3 ~ /^\// {print $3}' | sort -u |
  grep -vE '/(site-packages|libtorch)/|/lib(torch|c10|cudart|cupti|gomp|shm)[^/]*\.so|/(libc|libm|libdl|libpthread|librt|libgcc_s|ld-linux[^/]*)\.so' |
  while read -r library; do cp -L "$library" "$work/gpu/lib/"; done

"$build/longspan" --version | sed -n 's/.*LibTorch \([0-9]*\.[0-9]*\).*/\1/p' >"$work/gpu/TORCH"
tar -C "$work" -cJf "$out" gpu
if [[ -n ${LONGSPAN_PART:-} ]]; then
  split --numeric-suffixes --bytes="$LONGSPAN_PART" "$out" "$out."
  rm "$out"
fi
du -h "$out"*

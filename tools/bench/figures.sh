#!/bin/sh
# The figures of one machine, an hour or so on a quiet one with 2 cores; performance.py --collect then
# makes them docs/performance/NAME.json.
#
#   tools/bench/figures.sh MODEL TEXT OUT [PYTHON PEER_STEP.py]
#
# MODEL is a folder of SmolLM2-135M-Instruct, TEXT a book of 70,000 tokens or more (.txt.gz), OUT a
# folder for the results. With a Python and a script that takes the options below and prints the keys
# of `bench step`, each step is measured beside the peer's. That script is not part of this repository,
# and peer_step.py, which is, is for a GPU and takes others.
set -eu
[ $# -eq 3 ] || [ $# -eq 5 ] || { sed -n '2,10s/^# \{0,1\}//p' "$0" >&2; exit 2; }
model=$1 text=$2 out=$3
bench=${LONGSPAN_BENCH:-build/bench}
mkdir -p "$out"
"$(dirname "$bench")/longspan" --version > "$out/version.txt"
{ date -u; uname -a; grep -m 1 'model name' /proc/cpuinfo; nproc; uptime; } > "$out/machine.txt"

step() { "$bench" step --model "$model" --text "$text" --steps 2 "$@" --json; }

"$bench" attention --json > "$out/attention.json"
"$bench" attention --threads 1 --lengths 1K,4K --json > "$out/attention-1-thread.json"
"$bench" roofline "$out/attention.json" "$out/attention.svg"
"$bench" cross-entropy --json > "$out/cross-entropy.json"

for length in 4096 8192; do
  for attention in s2 full; do
    ours=$out/step-$attention-$length.json
    step --length $length --attention $attention > "$ours"
    [ $# -eq 5 ] || continue
    for peer in $attention $([ $attention = full ] || echo s2-eager); do
      theirs=$out/peer-$peer-$length.json
      "$4" "$5" --model "$model" --text "$text" --length $length --attention "$peer" --steps 2 > "$theirs.part"
      sed 's/s2-eager/s2/' "$theirs.part" > "$theirs"
      rm "$theirs.part"
      echo "$peer, $length:"
      "$bench" compare "$theirs" "$ours"
    done
  done
done

# Longer ones (--lengths 32K,64K,128K,256K) want a folder of books and a quiet half hour.
for pages in 0 64; do
  "$bench" memory --model "$model" --text "$text" --lengths 32K,64K --search-pages $pages --json \
    > "$out/memory-$pages.json"
done

# The same group at every length: the time per token of a step should stay.
for length in 4096 8192 16384 32768 65536; do
  step --length $length --group-size 2048 > "$out/flat-$length.json"
done

for attention in s2 full; do
  step --length 8192 --attention $attention --profile > "$out/profile-$attention.json" \
    2> "$out/profile-$attention.txt"
done

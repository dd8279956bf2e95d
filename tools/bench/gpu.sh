#!/usr/bin/env bash
# One session on a lent GPU, at most 8 minutes: what is most telling first, each step within a time of
# its own, and a step that fails does not stop the next.
#
#   tools/bench/gpu.sh TOKENIZER TEXT OUT                  on a GPU
#   tools/bench/gpu.sh --device cpu TOKENIZER TEXT OUT     the same way on small shapes: a dry run
#
# TOKENIZER is a model folder with a tokenizer.json, TEXT a book of 100,000 tokens or more, OUT a folder
# for the results: summary.txt, and results.tar.gz with a file a step, made anew after each, since a lent
# machine may give few files back. LONGSPAN_BUILD names the folder with longspan, bench,
# tests/ and longspan_cuda.so (build), PYTHON a Python with torch (python3). tools/bench/gpu_pack.sh packs
# all of it for a machine that can build nothing.
set -uo pipefail

DEVICE=cuda
if [[ ${1:-} == --device ]]; then
  DEVICE=$2
  shift 2
fi
(($# == 3)) || { sed -n '2,14s/^# \{0,1\}//p' "$0" >&2; exit 2; }
[[ -f $1/tokenizer.json ]] || { echo "gpu: $1 has no tokenizer.json" >&2; exit 2; }
[[ -f $2 && $2 =~ \.txt(\.gz|\.zst)?$ ]] || { echo "gpu: $2 is no file .txt, .txt.gz or .txt.zst" >&2; exit 2; }
mkdir -p "$3"
TOKENIZER=$(realpath "$1") TEXT=$(realpath "$2") OUT=$(realpath "$3")
cd "$(dirname "$0")/../.." || exit
BUILD=$(realpath "${LONGSPAN_BUILD:-build}")
PYTHON=${PYTHON:-python3}
OWN_LIBRARIES=${LD_LIBRARY_PATH:-}
SESSION_SECONDS=480
WORK=$(mktemp -d) RESULTS=$WORK/results
trap 'rm -rf "$WORK"' EXIT
mkdir "$RESULTS"
SECONDS=0
: >"$OUT/summary.txt"

# Shapes for shape(): HIDDEN LAYERS HEADS KEY_VALUE_HEADS MLP. LLaMA-2-7B at 100K, 4 layers of LLaMA-3-8B
# at 350K, SmolLM2 at 8K; the peer's step at 16K.
if [[ $DEVICE == cuda ]]; then
  SHAPE_7B="4096 32 32 32 11008" SHAPE_8B="4096 4 32 8 14336" SHAPE_SMALL="576 30 9 3 1536"
  LENGTH_7B=98304 LENGTH_8B=350208 LENGTH_SMALL=8192 LENGTH_PEER=16384 PROMPT_7B=1024
else
  SHAPE_7B="128 2 2 2 256" SHAPE_8B="128 2 4 2 256" SHAPE_SMALL="144 2 9 3 128"
  LENGTH_7B=2048 LENGTH_8B=4096 LENGTH_SMALL=512 LENGTH_PEER=512 PROMPT_7B=256
fi

# step NAME LIMIT COMMAND...: at most LIMIT seconds of what is left of the session. What the command says
# goes to NAME.txt of the results.
step() {
  local name=$1 limit=$2 begin=$SECONDS status left=$((SESSION_SECONDS - SECONDS))
  shift 2
  ((limit <= left)) || limit=$left
  if ((limit < 5)); then
    echo "$name: not begun, the session is over" | tee -a "$OUT/summary.txt"
    return
  fi
  timeout --kill-after=5 "$limit" "$@" >"$RESULTS/$name.txt" 2>&1
  status=$?
  case $status in
    0) status=ok ;;
    77) status=skipped ;;
    124 | 137) status="stopped after $limit s" ;;
    *) status="failed with $status" ;;
  esac
  echo "$name: $status, $((SECONDS - begin)) s" | tee -a "$OUT/summary.txt"
  tail -n 4 "$RESULTS/$name.txt" | sed 's/^/    /'
  tar -C "$WORK" -czf "$OUT/results.tar.gz" results
}

libraries() {
  local file missing=0
  ! command -v nvidia-smi >/dev/null || nvidia-smi --query-gpu=name,memory.total,driver_version --format=csv,noheader
  for file in "$BUILD/longspan" "$BUILD/longspan_cuda.so"; do
    if [[ ! -f $file ]]; then
      echo "$file is not there"
      [[ $DEVICE != cuda ]] || missing=1
      continue
    fi
    ! ldd "$file" | grep "not found" || missing=1
  done
  "$BUILD/longspan" --version
  return "$missing"
}

# The vocabulary of the tokenizer, rounded up as embeddings are.
vocab_size() {
  python - "$TOKENIZER/tokenizer.json" <<'END'
import json, sys
tokenizer = json.load(open(sys.argv[1]))
ids = [*tokenizer["model"]["vocab"].values(), *(token["id"] for token in tokenizer.get("added_tokens", []))]
print((max(ids) // 64 + 1) * 64)
END
}

# shape NAME HIDDEN LAYERS HEADS KEY_VALUE_HEADS MLP: a folder with a config.json of LLaMA and the tokenizer;
# bench step draws the weights.
shape() {
  mkdir -p "$WORK/$1"
  cp "$TOKENIZER"/tokenizer* "$WORK/$1/"
  cat >"$WORK/$1/config.json" <<END
{"model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": $2, "num_hidden_layers": $3,
 "num_attention_heads": $4, "num_key_value_heads": $5, "intermediate_size": $6, "vocab_size": $VOCABULARY,
 "max_position_embeddings": 4096, "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "hidden_act": "silu",
 "tie_word_embeddings": false, "torch_dtype": "bfloat16"}
END
}

# model NAME: random weights on disk, for the commands that read a model.
model() {
  "$BUILD/bench" random-model "$WORK/$1/config.json" "$WORK/$1-weights" && cp "$WORK/$1"/tokenizer* "$WORK/$1-weights/"
}

write_recipe() {
  cat >"$WORK/tiny.yaml" <<END
model: {path: $WORK/tiny-weights, dtype: bfloat16}
data: {path: $WORK/tokens.h5}
lora: {r: 8, target_modules: [q_proj, v_proj], modules_to_save: [norm]}
rope: {rope_type: yarn, factor: 2.0}
train: {seq_len: 512, steps: 40}
attention: {pattern: shifted_sparse, group_size: 128}
optimizer: {lr: 1e-4}
lr_schedule: {type: constant, warmup_steps: 0}
checkpoint: {every_steps: 10}
output: {dir: $WORK/run}
END
}

# On a GPU none may be skipped for want of it.
tests() {
  local said=$WORK/$1.said status
  "$BUILD/tests/$1" --gtest_filter='*CUDA*:*Cuda*:*cuda*' | tee "$said"
  status=${PIPESTATUS[0]}
  [[ $DEVICE != cuda ]] || ! grep -q "not run on CUDA" "$said" || return 1
  return "$status"
}
longspan() { "$BUILD/longspan" "$@"; }
python() { env LD_LIBRARY_PATH="$OWN_LIBRARIES" "$PYTHON" "$@"; } # which has libraries of its own
# same_losses RUN OTHER BOUND: those of all steps lie no further apart.
same_losses() {
  python - "$WORK/$1/metrics.jsonl" "$WORK/$2/metrics.jsonl" "$3" <<'END'
import json, sys
one, other = ([json.loads(line)["loss"] for line in open(file)] for file in sys.argv[1:3])
most = max(abs(a - b) for a, b in zip(one, other, strict=True))
print(f"losses of {len(one)} steps from {one[0]:.4f} to {one[-1]:.4f}, {most:.2g} apart at the most")
sys.exit(most > float(sys.argv[3]))
END
}
# A run that is killed when it has saved once goes on to the losses of one that was not, to the bit.
resume() {
  local again=(train "$WORK/tiny.yaml" --device "$DEVICE" train.deterministic=true)
  longspan "${again[@]}" output.dir="$WORK/whole" || return
  "$BUILD/longspan" "${again[@]}" output.dir="$WORK/killed" &
  until [[ -d $WORK/killed/checkpoints/step-000010 ]]; do
    kill -0 $! || return
    sleep 0.02
  done
  kill -KILL $!
  wait $!
  longspan "${again[@]}" output.dir="$WORK/killed" --resume && same_losses whole killed 0
}
# As near as two ways to round come.
cpu_losses() {
  longspan train "$WORK/tiny.yaml" --device cpu output.dir="$WORK/cpu" && same_losses run cpu 0.02
}
# random_step NAME ATTENTION LENGTH ARGUMENTS...
random_step() {
  "$BUILD/bench" step --device "$DEVICE" --model "$WORK/$1" --random-weights --text "$LONG_TEXT" --attention "$2" \
    --length "$3" --json "${@:4}"
}
of_7b() { random_step 7b s2 "$LENGTH_7B" --steps 2 rope.rope_type=linear rope.factor=24.0 "$@"; }
of_8b() {
  random_step 8b full "$LENGTH_8B" --steps 1 --rank 32 --trainable "" model.quantization=nf4 rope.rope_type=yarn rope.factor=43.0 \
    'lora.target_modules=[q_proj,k_proj,v_proj,o_proj,gate_proj,up_proj,down_proj]' \
    memory.recompute=layer memory.recompute_num_layers=1 memory.recompute_rest=selective++ \
    memory.offload=ram memory.chunk_tokens=8192 "$@"
}
of_small() { random_step small "$1" "$LENGTH_SMALL" --steps 4 memory.recompute=none rope.rope_type=linear rope.factor=2.0 "${@:2}"; }
# What plan says of the 7B steps. The first time it measures the rates, at 7B's widths.
forecast() {
  local rates=(--save-rates "$RESULTS/rates-7b.json")
  [[ ! -f $RESULTS/rates-7b.json ]] || rates=(--rates "$RESULTS/rates-7b.json")
  longspan plan "$WORK/tiny.yaml" --device "$DEVICE" "${rates[@]}" model.path="$WORK/7b/config.json" \
    'lora={r: 8, target_modules: [q_proj, k_proj, v_proj, o_proj], modules_to_save: [embed_tokens, norm]}' \
    'attention={pattern: shifted_sparse, group_ratio: 0.25}' rope.factor=24.0 train.seq_len="$LENGTH_7B" "$@"
}
decode() { "$BUILD/bench" decode --device "$DEVICE" --model "$WORK/7b" --prompt "$PROMPT_7B" --tokens 64 --json; }
peer() {
  python tools/bench/peer_step.py --device "$DEVICE" --config "$WORK/7b/config.json" --length "$LENGTH_PEER" &&
    random_step 7b full "$LENGTH_PEER" --steps 2 rope.rope_type=linear rope.factor=4.0 memory.recompute=layer
}
# As many words as the longest step wants, of a text that is shorter, packed or not.
lengthen() { for _ in $(seq 20); do cat "$TEXT"; done >"$LONG_TEXT"; }
export -f libraries model tests longspan python same_losses resume cpu_losses random_step of_7b of_8b of_small forecast
export -f decode peer lengthen
LONG_TEXT=$WORK/long.txt${TEXT##*.txt}
export BUILD DEVICE TOKENIZER TEXT LONG_TEXT WORK RESULTS PYTHON OWN_LIBRARIES LENGTH_7B LENGTH_8B LENGTH_SMALL LENGTH_PEER PROMPT_7B
export LONGSPAN_CUDA_PLUGIN=$BUILD/longspan_cuda.so
run() { step "$1" "$2" bash -c '"$@"' bash "${@:3}"; }

[[ ! -d lib ]] || export LD_LIBRARY_PATH="$PWD/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}" # gpu_pack.sh's
if ldd "$BUILD/longspan" | grep "libtorch_cpu.so => not found" >/dev/null; then # built for another folder's LibTorch
  torch=$(python -c 'import importlib.util as u, os; print(os.path.dirname(u.find_spec("torch").origin))')
  export LD_LIBRARY_PATH="$torch/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
fi
if [[ -f TORCH ]]; then # gpu_pack.sh's
  found=$(python -c 'import importlib.util as u, os; print(open(os.path.dirname(u.find_spec("torch").origin) + "/version.py").read())' |
    sed -n "s/^__version__ = '\([0-9]*\.[0-9]*\).*/\1/p")
  if [[ $found != "$(<TORCH)" ]]; then
    echo "gpu: packed for LibTorch $(<TORCH), and the torch of $PYTHON is ${found:-not there}; build and pack with that one" >&2
    exit 1
  fi
fi
VOCABULARY=$(vocab_size)
shape tiny 256 4 4 4 512
# shellcheck disable=SC2086 # several words each
{ shape 7b $SHAPE_7B; shape 8b $SHAPE_8B; shape small $SHAPE_SMALL; }
write_recipe

run libraries 45 libraries
run lengthen 10 lengthen
run tiny-model 20 model tiny
run prepare 20 longspan prepare "$TEXT" --model "$WORK/tiny-weights" --out "$WORK/tokens.h5"
run 7b-plan 40 forecast memory.recompute=selective++
run 7b 80 of_7b memory.recompute=selective++
run 8b-350k 110 of_8b memory.offload_ram=9GB # three tensors of 350K; the other four stay on the GPU
run attention 60 python tools/bench/attention_rates.py --device "$DEVICE"
run model-tests 75 tests model_test
run train 40 longspan train "$WORK/tiny.yaml" --device "$DEVICE"
run cpu-losses 30 cpu_losses
run resume 40 resume
run 7b-plan-layer 10 forecast memory.recompute=layer
run 7b-plan-auto 10 forecast
run 7b-layer 80 of_7b memory.recompute=layer
run 7b-offload 120 of_7b memory.recompute=selective memory.offload=ram memory.offload_ram=100GB
run trainer-tests 40 tests trainer_test
run plan 40 longspan plan "$WORK/tiny.yaml" --device "$DEVICE"
run eval 30 longspan eval "$WORK/run" --device "$DEVICE" --lengths 256,512 --targets 64 --text "$TEXT" --json
run generate 30 longspan generate "$WORK/run" --device "$DEVICE" --max-new-tokens 32 --prompt "It was a long road"
run decode 40 decode
run small 30 of_small s2 --trace "$RESULTS/small-trace.json"
run small-full 30 of_small full
run peer 60 peer
echo "gpu: $SECONDS s; the results are in $OUT"
! grep -qvE ": (ok|skipped)" "$OUT/summary.txt"

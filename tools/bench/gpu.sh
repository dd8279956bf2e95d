#!/usr/bin/env bash
# One session on a lent GPU, at most 8 minutes: what is most telling first, each step within a time of
# its own, and a step that fails does not stop the next.
#
#   tools/bench/gpu.sh TOKENIZER TEXT OUT                  on a GPU
#   tools/bench/gpu.sh --device cpu TOKENIZER TEXT OUT     the same way on small shapes: a dry run
#
# TOKENIZER is a model folder with a tokenizer.json, TEXT a book of 100,000 tokens or more, OUT a folder
# for the results: a file a step, and summary.txt. LONGSPAN_BUILD names the folder with longspan, bench,
# tests/ and longspan_cuda.so (build), PYTHON a Python with torch (python3).
set -uo pipefail

DEVICE=cuda
if [[ ${1:-} == --device ]]; then
  DEVICE=$2
  shift 2
fi
(($# == 3)) || { sed -n '2,12s/^# \{0,1\}//p' "$0" >&2; exit 2; }
mkdir -p "$3"
TOKENIZER=$(realpath "$1") TEXT=$(realpath "$2") OUT=$(realpath "$3")
cd "$(dirname "$0")/../.." || exit
BUILD=$(realpath "${LONGSPAN_BUILD:-build}")
PYTHON=${PYTHON:-python3}
SESSION_SECONDS=480
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
SECONDS=0
: >"$OUT/summary.txt"

if [[ $DEVICE == cuda ]]; then
  WIDE_LAYERS=32 WIDE_HIDDEN=4096 WIDE_HEADS=32 WIDE_MLP=11008 LENGTH=98304
else
  WIDE_LAYERS=2 WIDE_HIDDEN=128 WIDE_HEADS=2 WIDE_MLP=256 LENGTH=2048
fi

# step NAME LIMIT COMMAND...: at most LIMIT seconds of what is left of the session. What the command says
# goes to OUT/NAME.txt.
step() {
  local name=$1 limit=$2 begin=$SECONDS status left=$((SESSION_SECONDS - SECONDS))
  shift 2
  ((limit <= left)) || limit=$left
  if ((limit < 5)); then
    echo "$name: not begun, the session is over" | tee -a "$OUT/summary.txt"
    return
  fi
  timeout --kill-after=5 "$limit" "$@" >"$OUT/$name.txt" 2>&1
  status=$?
  case $status in
    0) status=ok ;;
    124 | 137) status="stopped after $limit s" ;;
    *) status="failed with $status" ;;
  esac
  echo "$name: $status, $((SECONDS - begin)) s" | tee -a "$OUT/summary.txt"
  tail -n 4 "$OUT/$name.txt" | sed 's/^/    /'
}

libraries() {
  local file missing=0
  ! command -v nvidia-smi >/dev/null || nvidia-smi --query-gpu=name,memory.total,driver_version --format=csv,noheader
  for file in "$BUILD/longspan" "$BUILD/longspan_cuda.so"; do
    [[ -f $file ]] || { echo "$file is not there"; missing=1; continue; }
    ! ldd "$file" | grep "not found" || missing=1
  done
  "$BUILD/longspan" --version
  return "$missing"
}

# The vocabulary of the tokenizer, rounded up as embeddings are.
vocab_size() {
  "$PYTHON" - "$TOKENIZER/tokenizer.json" <<'END'
import json, sys
tokenizer = json.load(open(sys.argv[1]))
ids = [*tokenizer["model"]["vocab"].values(), *(token["id"] for token in tokenizer.get("added_tokens", []))]
print((max(ids) // 64 + 1) * 64)
END
}

# shape HIDDEN LAYERS HEADS MLP: a config.json of LLaMA.
shape() {
  cat <<END
{"model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": $1, "num_hidden_layers": $2,
 "num_attention_heads": $3, "num_key_value_heads": $3, "intermediate_size": $4, "vocab_size": $VOCABULARY,
 "max_position_embeddings": 4096, "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "hidden_act": "silu",
 "tie_word_embeddings": false, "torch_dtype": "bfloat16"}
END
}

# model NAME: random weights in the shape of NAME.json, with the tokenizer.
model() {
  "$BUILD/bench" random-model "$WORK/$1.json" "$WORK/$1" &&
    cp "$TOKENIZER"/tokenizer* "$TOKENIZER"/special_tokens_map.json "$WORK/$1/" 2>/dev/null
  [[ -f $WORK/$1/tokenizer.json ]]
}

write_recipe() {
  cat >"$WORK/tiny.yaml" <<END
model: {path: $WORK/tiny, dtype: bfloat16}
data: {path: $WORK/tokens.h5}
lora: {r: 8, target_modules: [q_proj, v_proj], modules_to_save: [norm]}
rope: {rope_type: yarn, factor: 2.0}
train: {seq_len: 512, steps: 4}
attention: {pattern: shifted_sparse, group_size: 128}
optimizer: {lr: 1e-4}
lr_schedule: {type: constant, warmup_steps: 0}
checkpoint: {every_steps: 2}
output: {dir: $WORK/run}
END
}

# On a GPU none may be skipped for want of it.
tests() {
  local said status
  said=$("$BUILD/tests/$1" --gtest_filter='*CUDA*:*Cuda*:*cuda*')
  status=$?
  echo "$said"
  [[ $DEVICE != cuda ]] || ! grep -q "not run on CUDA" <<<"$said" || return 1
  return "$status"
}
longspan() { "$BUILD/longspan" "$@"; }
# What an interrupted run leaves: its first checkpoint.
resume() { rm -rf "$WORK"/run/checkpoints/step-000004 && longspan train "$WORK/tiny.yaml" --device "$DEVICE" --resume; }
wide_step() {
  "$BUILD/bench" step --device "$DEVICE" --model "$WORK/wide" --text "$TEXT" --length "$LENGTH" --attention s2 \
    --steps 2 --json rope.rope_type=linear rope.factor=24.0 "$@"
}
export -f libraries model tests longspan resume wide_step
export BUILD DEVICE TOKENIZER TEXT WORK LENGTH LONGSPAN_CUDA_PLUGIN=$BUILD/longspan_cuda.so
run() { step "$1" "$2" bash -c '"$@"' bash "${@:3}"; }

if ldd "$BUILD/longspan" | grep "libtorch_cpu.so => not found" >/dev/null; then # built for another folder's LibTorch
  torch=$("$PYTHON" -c 'import importlib.util as u, os; print(os.path.dirname(u.find_spec("torch").origin))')
  export LD_LIBRARY_PATH="$torch/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
fi
VOCABULARY=$(vocab_size)
shape 256 4 4 512 >"$WORK/tiny.json"
shape "$WIDE_HIDDEN" "$WIDE_LAYERS" "$WIDE_HEADS" "$WIDE_MLP" >"$WORK/wide.json"
write_recipe

run libraries 20 libraries
run tiny-model 20 model tiny
run prepare 20 longspan prepare "$TEXT" --model "$WORK/tiny" --out "$WORK/tokens.h5"
(timeout 150 bash -c 'model wide' >"$OUT/wide-model.txt" 2>&1) & # on the CPU, beside the rest
wide=$!
run model-tests 60 tests model_test
run trainer-tests 40 tests trainer_test
run plan 40 longspan plan "$WORK/tiny.yaml" --device "$DEVICE" --save-rates "$OUT/rates.json"
run train 40 longspan train "$WORK/tiny.yaml" --device "$DEVICE"
run resume 30 resume
run eval 30 longspan eval "$WORK/run" --device "$DEVICE" --lengths 256,512 --targets 64 --text "$TEXT" --json
run generate 30 longspan generate "$WORK/run" --device "$DEVICE" --max-new-tokens 32 --prompt "It was a long road"
run attention 60 "$PYTHON" tools/bench/attention_rates.py --device "$DEVICE"
wait "$wide"
run wide-step 110 wide_step memory.recompute=layer
run wide-step-nf4 110 wide_step memory.recompute=selective model.quantization=nf4
echo "gpu: $SECONDS s; the results are in $OUT"
! grep -qv ": ok" "$OUT/summary.txt"

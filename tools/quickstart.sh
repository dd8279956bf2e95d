#!/usr/bin/env bash
# From nothing to a language model with twice the context, measured: SmolLM2-135M-Instruct from 8,192
# to 16,384 tokens, at most 15 minutes on 2 cores with AVX-512 BF16 once tools/setup.sh is done, 47 on
# 2 with AVX2 only.
#
#   tools/quickstart.sh                  on the long manuals of Debian's vim-runtime
#   tools/quickstart.sh FOLDER|FILE...   on your own long .txt and .md documents (80 KB and up)
#
# Leaves runs/quickstart/merged (the model, for transformers and all that reads its files) and
# runs/quickstart/report.html (the curves).
set -euo pipefail
documents=()
for given in "$@"; do documents+=("$(realpath "$given")"); done
cd "$(dirname "$0")/.."

MODEL=models/SmolLM2-135M-Instruct
RUN=runs/quickstart
RECIPE=recipes/smollm2-135m-16k-quickstart.yaml
LENGTHS=4096,8192,16384
MANUALS=(/usr/share/vim/vim*/doc)
HELD_OUT_MANUALS='/(eval|pi_netrw|syntax)\.txt$'
LONG=80k # bytes of prose that surely hold more than 16,384 tokens

stop() {
  echo "quickstart: $*" >&2
  exit 1
}

begin() { printf '\n== %s (%d:%02d)\n' "$*" $((SECONDS / 60)) $((SECONDS % 60)) >&2; }

# Fills train_texts and held_out: a document that is measured is never trained on.
choose_documents() {
  local long
  if ((${#documents[@]})); then
    mapfile -t long < <(find "${documents[@]}" -type f -size "+$LONG" \( -name '*.txt' -o -name '*.md' \) | sort)
    ((${#long[@]} >= 2)) || stop "found ${#long[@]} documents (.txt, .md) over $LONG; give two or more"
    local count=$((${#long[@]} / 4 + 1))
    ((count <= 3)) || count=3
    held_out=("${long[@]: -count}")
    train_texts=("${long[@]:0:${#long[@]}-count}")
  else
    mapfile -t long < <(find "${MANUALS[@]}" -name '*.txt' -size "+$LONG" | sort)
    mapfile -t held_out < <(printf '%s\n' "${long[@]}" | grep -E "$HELD_OUT_MANUALS")
    mapfile -t train_texts < <(printf '%s\n' "${long[@]}" | grep -Ev "$HELD_OUT_MANUALS")
  fi
  echo "trained on: ${train_texts[*]}" >&2
  echo "held out to measure: ${held_out[*]}" >&2
}

evaluate() { # LABEL MODEL [OPTION...]
  local label=$1 model=$2 text=()
  shift 2
  for file in "${held_out[@]}"; do text+=(--text "$file"); done
  build/longspan eval "$model" "$@" --lengths "$LENGTHS" "${text[@]}" --label "$label" \
    --out "$RUN/$label.json" >&2
}

tools/setup.sh >&2
SECONDS=0
rm -rf "$RUN"
mkdir -p "$RUN"

begin "documents"
choose_documents

begin "base model"
if [[ ! -e $MODEL/config.json ]]; then
  gguf=$(find .venv/ -name 'SmolLM2-135M-Instruct*.gguf' -print -quit)
  [[ -n $gguf ]] || stop "no SmolLM2 GGUF in .venv; run tools/setup.sh again"
  build/longspan convert "$gguf" "$MODEL"
fi

begin "token store"
build/longspan prepare --model "$MODEL" --out "$RUN/train.h5" "${train_texts[@]}"

begin "the base, and RoPE scaling alone"
evaluate base "$MODEL"
evaluate yarn-untrained "$MODEL" --rope '{rope_type: yarn, factor: 2.0}'

begin "training"
build/longspan train "$RECIPE" "model.path=$MODEL" "data.path=$RUN/train.h5" "output.dir=$RUN"

begin "merging"
build/longspan merge "$MODEL" "$RUN" "$RUN/merged"

begin "the trained model"
evaluate trained "$RUN/merged"
build/longspan generate "$RUN/merged" --max-new-tokens 40 \
  --prompt "In Vim, the difference between a buffer and a window is that"

begin "report"
build/longspan report "$RUN"/{base,yarn-untrained,trained}.json --reference yarn-untrained --html "$RUN/report.html"
build/longspan card "$RUN/merged"
minutes=$(((SECONDS + 30) / 60))
echo "The base model of 8,192 tokens, the same with YaRN x2 untrained, and trained by $RECIPE,"
echo "on ${#held_out[@]} documents that were not trained on; $minutes minutes on $(nproc) cores."
echo "Model: $RUN/merged   Page: $RUN/report.html"

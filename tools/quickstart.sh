#!/usr/bin/env bash
# From nothing to a language model with a longer context, measured: SmolLM2-135M-Instruct from 8,192 to
# 16,384 tokens, or to 12,288 where that would take too long. Once tools/setup.sh is done it measures
# this machine, says how long it will take, and does what fits into about twelve minutes of training
# and measuring, or the least of what it can do. Measured are the loss of documents that were not trained
# on, and how many keys the model finds that are hidden in them.
#
#   tools/quickstart.sh                  on the long manuals of Debian's vim-runtime
#   tools/quickstart.sh FOLDER|FILE...   on your own long .txt and .md documents (80 KB and up)
#
# Leaves runs/quickstart/merged (the model, for transformers and all that reads its files) and
# runs/quickstart/report.html (curves and tables). What an earlier run left is kept beside it.
set -euo pipefail
documents=()
for given in "$@"; do documents+=("$(realpath "$given")"); done
cd "$(dirname "$0")/.."

MODEL=models/SmolLM2-135M-Instruct
RUN=runs/quickstart
RECIPE=recipes/smollm2-135m-16k-quickstart.yaml
BASE_LENGTH=8192
# What can be done, the most first: tokens of context, steps of short rows and of one whole row,
# documents to measure, keys to hide. The first that takes no more than BUDGET is done, else the last.
SIZES=("16384 16 2 3 16" "16384 12 2 2 16" "16384 10 1 2 10" "12288 8 1 2 10" "12288 6 1 1 10")
BUDGET=720 # seconds
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

# What an earlier run left is not lost: it is renamed.
keep_earlier_run() {
  [[ -e $RUN ]] || return 0
  local number=1
  while [[ -e $RUN-$number ]]; do ((++number)); done
  mv "$RUN" "$RUN-$number"
  echo "an earlier run is now $RUN-$number; remove it when you need it no more" >&2
}

# Fills length, factor, documents_measured, keys and overrides (of the recipe) by the speed of this machine.
choose_size() {
  local size short whole forecast rates="$RUN/rates.json"
  build/longspan plan "$RECIPE" "model.path=$MODEL" "data.path=$RUN/train.h5" "output.dir=$RUN" \
    --save-rates "$rates" >/dev/null
  for size in "${SIZES[@]}"; do
    read -r length short whole documents_measured keys <<<"$size"
    ((documents_measured <= ${#held_out[@]})) || documents_measured=${#held_out[@]}
    factor=$(awk "BEGIN { print $length / $BASE_LENGTH }")
    overrides=("train.seq_len=$length" "packing.target_length=$length" "rope.factor=$factor"
      "stages.0.steps=$short" "stages.1.steps=$whole")
    # Three models read each document and a text with keys at three lengths, and 16 questions for keys
    # take as long as a text; a pass grows with the length in its products and with its square in
    # attention. The last stage is the one of whole rows.
    forecast=$(build/longspan plan "$RECIPE" "model.path=$MODEL" "data.path=$RUN/train.h5" \
      "output.dir=$RUN" "${overrides[@]}" --rates "$rates" --json | tr -d ' ,"' |
      awk -F: -v length_="$length" -v texts="$documents_measured" -v keys="$keys" '
        $1 == "linears_forward" { linears = $2 }
        $1 == "attention_forward" { attention = $2 }
        $1 == "run_seconds" { training = $2 }
        END {
          for (part = 4096; part <= 8192; part += 4096) {
            share = part / length_; shares += share; squares += share * share
          }
          texts += 1 + keys / 16
          evaluation = 3 * texts * (linears * (1 + shares) + attention * (1 + squares))
          printf "%d %d", training, evaluation
        }')
    ((${forecast% *} + ${forecast#* } > BUDGET)) || break
  done
  echo "to $length tokens (YaRN x$factor), $short steps of short rows with facts that are asked for and" \
    "$whole of whole rows;" \
    "about $(((${forecast% *} + ${forecast#* } + 120) / 60)) minutes from here on this machine:" \
    "training $(((${forecast% *} + 30) / 60)), measuring $documents_measured documents and $keys keys three times" \
    "$(((${forecast#* } + 30) / 60))" >&2
}

evaluate() { # LABEL MODEL [OPTION...]
  local label=$1 model=$2 text=()
  shift 2
  for file in "${held_out[@]:0:documents_measured}"; do text+=(--text "$file"); done
  build/longspan eval "$model" "$@" --task perplexity,needle --set "needle.needles=$keys" \
    --lengths "4096,$BASE_LENGTH,$length" "${text[@]}" --label "$label" --out "$RUN/$label.json" >&2
}

tools/setup.sh >&2
SECONDS=0
keep_earlier_run
mkdir -p "$RUN"

begin "documents"
choose_documents

begin "base model"
if [[ ! -e $MODEL/config.json ]]; then
  gguf=$(find .venv/ -name 'SmolLM2-135M-Instruct*.gguf' -print -quit)
  [[ -n $gguf ]] || stop "no SmolLM2 GGUF in .venv; run tools/setup.sh again"
  build/longspan convert "$gguf" "$MODEL"
fi

begin "facts that are asked for, and the token store"
build/longspan data-needles --model "$MODEL" --length 2048 --out "$RUN/needles.jsonl" "${train_texts[@]}"
build/longspan prepare --model "$MODEL" --out "$RUN/train.h5" "${train_texts[@]}" "$RUN/needles.jsonl"

begin "this machine"
choose_size

begin "the base, and RoPE scaling alone"
evaluate base "$MODEL"
evaluate yarn-untrained "$MODEL" --rope "{rope_type: yarn, factor: $factor}"

begin "training"
build/longspan train "$RECIPE" "model.path=$MODEL" "data.path=$RUN/train.h5" "output.dir=$RUN" "${overrides[@]}"

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
echo "The base model of 8,192 tokens, the same with YaRN x$factor untrained, and trained by $RECIPE"
echo "to $length tokens, on $documents_measured documents that were not trained on and $keys keys hidden in them:"
echo "loss, keys found, the loss of a key's value when it is fed, and how often it is ranked first."
echo "$minutes minutes on $(nproc) cores."
echo "Model: $RUN/merged   Page: $RUN/report.html"

#!/usr/bin/env bash
# Train the bundled model from raw text and data sets, evaluate it, write its card: one command, which goes on where it
# was stopped.
#
#     scripts/train_bundled.sh                 the data sets beside SEQGPT_DATA, or in ../shared/data
#     MINUTES=30 scripts/train_bundled.sh      so long for the language model
#     scripts/train_bundled.sh pretrain.training.max_steps=500 …     overrides of configs/train/bundled.yaml
#
# Each step is skipped when what it writes is there; delete that to do it again. On a CPU, give each run one thread
# (OMP_NUM_THREADS=1) where cores are shared.
set -euo pipefail
cd "$(dirname "$0")/.."

PYTHON=${PYTHON:-python}
NLU=${SEQGPT_DATA:-../shared/data/nlu}
TEXT=${SEQGPT_TEXT:-$NLU/../text}
WORK=${WORK:-runs/bundled}
PACKAGE=${PACKAGE:-seqgpt/bundled}   # where the finished model is written
MINUTES=${MINUTES:-120}      # of language-model training, at a constant rate
LIMIT=${LIMIT:-}              # texts of each data set whose training split was seen, in the evaluation
DECAY_STEPS=${DECAY_STEPS:-600}
CONFIG=scripts/bundled/model.json
export SEQGPT_DATA=$NLU PYTHONPATH=.
# Large pages of memory: page faults are dear on a virtual machine (docs/experiments.md).
export GLIBC_TUNABLES=${GLIBC_TUNABLES:-glibc.malloc.hugetlb=1}

vocabulary=16384
width=$("$PYTHON" -c 'import json, sys; print(json.load(open(sys.argv[1]))["hidden_size"])' "$CONFIG")
mkdir -p "$WORK"

[ -e "$WORK/tokenizer/tokenizer.json" ] ||
    "$PYTHON" scripts/bundled/tokenizer.py --text "$TEXT" --vocab-size "$vocabulary" --output "$WORK/tokenizer"

[ -e "$WORK/tokens/sources.json" ] ||
    "$PYTHON" scripts/bundled/encode.py --text "$TEXT" --tokenizer "$WORK/tokenizer" --output "$WORK/tokens"

[ -e "$WORK/embeddings.npy" ] ||
    "$PYTHON" scripts/bundled/embeddings.py --tokens "$WORK/tokens" --vocab-size "$vocabulary" --width "$width" \
        --output "$WORK/embeddings.npy"

language_model=("$PYTHON" scripts/bundled/language_model.py --tokens "$WORK/tokens" --tokenizer "$WORK/tokenizer"
    --embeddings "$WORK/embeddings.npy" --config "$CONFIG" --output "$WORK/language_model")
if [ ! -e "$WORK/language_model/decayed/model.safetensors" ]; then
    "${language_model[@]}" --minutes "$MINUTES"
    "${language_model[@]}" --decay "$DECAY_STEPS"
fi

last=$WORK/stages/finetune_last
if [ ! -e "$last/metrics.json" ]; then
    "$PYTHON" -m seqgpt train bundled output_dir="$WORK/stages" model.path="$WORK/language_model/decayed" "$@"
fi

"$PYTHON" scripts/bundled/pack.py --model "$last" --output "$PACKAGE"

evaluate=("$PYTHON" -m seqgpt evaluate --model "$PACKAGE")
"${evaluate[@]}" --suite in_domain ${LIMIT:+--limit "$LIMIT"} --output "$WORK/evaluations/in_domain"
for suite in zero_shot_en zero_shot_zh; do
    "${evaluate[@]}" --suite "$suite" --baselines --output "$WORK/evaluations/$suite"
done

"$PYTHON" scripts/bundled/card.py --work "$WORK" --model "$PACKAGE"

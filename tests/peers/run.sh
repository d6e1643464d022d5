#!/bin/sh
# What transformers and PEFT make of our files: see README.md. Run by hand, from anywhere:
#
#   tests/peers/run.sh [FOLDER OF THE ENVIRONMENT]
#
# PyPI's torch for Linux comes with CUDA's libraries: the environment takes some 7 GB.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
environment=${1:-"$root/target/peers"}
cd "$root"

if [ ! -x "$environment/bin/python" ]; then
    python3 -m venv "$environment"
    "$environment/bin/pip" install --quiet --requirement tests/peers/requirements.txt
fi

hps=${HPS:-}
if [ -z "$hps" ]; then
    cargo build --release --package hps-llama --bin hps
    hps=target/release/hps
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
model=tests/data/models/tiny
rows=tests/data/trl-sigmoid/preferences.jsonl
train="--model_name_or_path $model --data $rows --num_train_epochs 2 --per_device_train_batch_size 4 --gradient_accumulation_steps 1"
"$hps" train $train --output_dir "$work/run" --loss_type dpo-hps --learning_rate 1e-2 >"$work/log"
"$hps" merge --model "$model" --adapter "$work/run" --output_dir "$work/merged" --dtype f32 --max_shard_size 300KB
"$hps" log-probs --model "$model" --data "$rows" >"$work/base.jsonl"
"$hps" log-probs --model "$model" --adapter "$work/run" --data "$rows" >"$work/adapted.jsonl"
"$hps" log-probs --model "$work/merged" --data "$rows" >"$work/merged.jsonl"

# A reward model, with an adapter that is merged into it and without one.
"$hps" data "$rows" --output "$work/lists.jsonl" --samples 0 >>"$work/log"
for kind in full lora; do
    peft=$([ $kind = lora ] && echo true || echo false)
    "$hps" train $train --task reward --loss_type dpo-bt --use_peft "$peft" --learning_rate 1e-3 --output_dir "$work/reward-$kind" >>"$work/log"
    "$hps" score --model_name_or_path "$work/reward-$kind" --data "$work/lists.jsonl" --output "$work/reward-$kind.jsonl" --overwrite_rewards
done
"$environment/bin/python" tests/peers/check.py "$model" "$work"

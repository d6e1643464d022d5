#!/usr/bin/env bash
# From prompts to a table, on the toy world: hps generate → hps score → hps train → hps evaluate, with a reward model that is
# trained on the way. Each stage is killed once (kill -9) and called again, and has to end with the bytes of a run that was
# not killed: no row is lost or doubled.
#
#   examples/pipeline.sh           # some minutes
#   examples/pipeline.sh --quick   # few prompts: shows that it works
set -euo pipefail
cd "$(dirname "$0")/.."
out=${OUT:-out/pipeline}
prompts=400 ranked=500 held_out=128 responses=16 epochs=2 saved=10
if [ "${1:-}" = --quick ]; then
    prompts=48 ranked=64 held_out=16 responses=4 epochs=1 saved=1
fi
rm -rf "$out"

cargo build --quiet --release ${FEATURES:-} --bin hps
hps=${CARGO_TARGET_DIR:-target}/release/hps
base=assets/tiny-llama3
cargo run --quiet --release ${FEATURES:-} --example toy_world_rows -- --output_dir "$out" --prompts $prompts --ranked $ranked --held_out $held_out

# Calls a stage twice, into $out/killed and into $out/whole: `stage NAME PROGRESS COMMAND…`, the command with `OUT` for its
# folder. The first one is killed as soon as the file or folder PROGRESS is there and not empty.
stage() {
    local name=$1 progress=$2
    shift 2
    local killed=("${@//OUT/$out/killed}") whole=("${@//OUT/$out/whole}")
    printf '\n$ %s\n' "${whole[*]}"
    "${killed[@]}" >"$out/killed/$name.log" 2>&1 &
    local process=$!
    while [ ! -s "$out/killed/$progress" ] && kill -0 $process 2>/dev/null; do sleep 0.01; done
    if ! kill -9 $process 2>/dev/null; then
        cat "$out/killed/$name.log"
        echo "$name ended before it could be killed"
        exit 1
    fi
    wait $process 2>/dev/null || true
    "${killed[@]}" ${RESUME:-} >>"$out/killed/$name.log" 2>&1 || { cat "$out/killed/$name.log"; exit 1; }
    "${whole[@]}"
}

# The killed stage's file has the bytes of the other's.
same() {
    cmp "$out/killed/$1" "$out/whole/$1"
    echo "killed and called again: $1 is the same"
}

rows() {
    local count
    count=$(wc -l <"$out/whole/$1")
    [ "$count" -eq "$2" ] || { echo "$1 has $count rows, not $2"; exit 1; }
}

mkdir -p "$out/killed" "$out/whole"
training=(--per_device_train_batch_size 16 --gradient_accumulation_steps 1 --save_steps $saved --warmup_ratio 0.1)

# Which responses are good: a reward model, from rankings of other prompts.
RESUME=--resume_from_checkpoint stage reward reward/checkpoint-$saved "$hps" train --task reward --loss_type dpo-pl --use_peft false \
    --model_name_or_path $base --data "$out/ranked.jsonl" --output_dir OUT/reward --learning_rate 1e-3 --num_train_epochs $epochs "${training[@]}"
same reward/model.safetensors

stage generate generated.jsonl.partial "$hps" generate --model_name_or_path $base --data "$out/prompts.jsonl" --output OUT/generated.jsonl \
    --n $responses --temperature 0.9 --max_tokens 64 --max_num_seqs 64
same generated.jsonl
rows generated.jsonl $prompts

stage score scored.jsonl.partial "$hps" score --model_name_or_path "$out/whole/reward" --data "$out/whole/generated.jsonl" \
    --output OUT/scored.jsonl --max_num_batched_tokens 512
same scored.jsonl
rows scored.jsonl $prompts

"$hps" data "$out/whole/scored.jsonl" --samples 1

RESUME=--resume_from_checkpoint stage train adapter/checkpoint-$saved "$hps" train --loss_type dpo-hps --beta 0.5 \
    --model_name_or_path $base --data "$out/whole/scored.jsonl" --output_dir OUT/adapter --lora_target_modules all-linear \
    --learning_rate 2e-3 --num_train_epochs $epochs "${training[@]}"
same adapter/adapter_model.safetensors

stage evaluate evaluation/rows/base "$hps" evaluate --model_name_or_path $base --adapter "dpo-hps=$out/whole/adapter" \
    --data "toy world=$out/held_out.jsonl" --reward_model "$out/whole/reward" --best_of 5 --max_tokens 64 --output OUT/evaluation
same evaluation/table.md

#!/usr/bin/env bash
# Builds everything that checks and measures the CUDA backend, for a machine that has a GPU and its driver, NVRTC and cuBLAS
# and nothing else: hps-cuda/carry.sh FOLDER, then there, in a copy of this repository: hps-cuda/on_a_gpu.sh FOLDER
set -euo pipefail
cd "$(dirname "$0")/.."
folder=${1:?hps-cuda/carry.sh FOLDER}
mkdir -p "$folder/tests" "$folder/benches"

# Paths of the programs that a build made, one a line, with the kind of each.
built() {
    cargo "$@" --message-format=json 2>/dev/null |
        python3 -c '
import json, sys
for line in sys.stdin:
    message = json.loads(line)
    if message.get("executable"):
        print(message["target"]["kind"][0], message["target"]["name"], message["executable"])'
}

export CARGO_PROFILE_RELEASE_DEBUG=none
{
    built test --release -p hps --features cuda --no-run \
        --test operations --test transformers --test trl --test gradients --test trainer --test checkpoints --test generation
    built test --release -p hps-cuda --no-run --tests
    built bench -p hps-cuda --no-run --benches
    built build --release --features cuda --bin hps
    built build --release --features cuda --example finetune_llama3
} | while read -r kind name path; do
    case $kind in
    test) to="$folder/tests/$(basename "$path")" ;;
    bench) to="$folder/benches/$name" ;;
    bin | example) to="$folder/$name" ;;
    *) continue ;;
    esac
    cp "$path" "$to"
    strip "$to"
done
du -sh "$folder"

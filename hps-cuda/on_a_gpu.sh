#!/usr/bin/env bash
# Checks and measures the CUDA backend on a machine with a GPU, with what hps-cuda/carry.sh built elsewhere:
# hps-cuda/on_a_gpu.sh FOLDER [checks|sanitizer|benches|peer], all but the sanitizer by default.
set -uo pipefail
cd "$(dirname "$0")/.."
folder=$(realpath "${1:?hps-cuda/on_a_gpu.sh FOLDER}")
wanted=${2:-checks benches peer}
# Where Python's wheels keep NVRTC and cuBLAS, if there are any.
wheels=$(python3 -c 'import glob, sysconfig; print(":".join(glob.glob(sysconfig.get_path("purelib") + "/nvidia/*/lib")))' 2>/dev/null)
export LD_LIBRARY_PATH=${wheels:+$wheels:}${LD_LIBRARY_PATH:-}
export HPS_REQUIRE_CUDA=1 CARGO_MANIFEST_DIR=$PWD
nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader
date -u +%F

failed=0
run() { printf '\n== %s\n' "$*"; "$@" || failed=1; }
hps() { run "$folder/hps" bench --backend cuda --dtype bfloat16 --shape llama3-8b --steps 20 "$@"; }

for part in $wanted; do
    case $part in
    checks)
        for test in "$folder"/tests/*; do
            filter=cuda
            # All tests of hps-cuda's own need the device.
            "$test" --list 2>/dev/null | grep -q 'cuda' || filter=
            run "$test" $filter --test-threads 4
        done
        run "$folder/finetune_llama3" --quick --backend cuda --output_dir "$(mktemp -d)"
        ;;
    sanitizer)
        for tool in memcheck racecheck initcheck synccheck; do
            for test in "$folder"/tests/operations-*; do
                "$test" --list 2>/dev/null | grep -q 'cuda::linear_agrees' || continue
                run compute-sanitizer --tool "$tool" --error-exitcode 9 "$test" cuda --test-threads 1
            done
        done
        ;;
    benches)
        for bench in "$folder"/benches/*; do run "$bench"; done
        hps --parts throughput --pairs 1 --tokens 1,2047
        hps --parts throughput --pairs 1 --tokens 1024,1024
        hps --parts losses
        ;;
    peer)
        # The peer and our step in turn, on the same GPU.
        for pair in 1,2047 1024,1024; do
            run python3 hps-cuda/benches/peft_step.py --tokens "$pair"
            hps --parts throughput --pairs 1 --tokens "$pair"
        done
        ;;
    esac
done
exit $failed

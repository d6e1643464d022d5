#!/usr/bin/env bash
# Checks and measures the CUDA backend on a machine with a GPU, with what hps-cuda/carry.sh packed elsewhere, in at most ten
# minutes: hps-cuda/on_a_gpu.sh FOLDER [--dry_run]
#
# In this order, each part within its time: the checks; compute-sanitizer over the kernels' own small tests, where it is
# installed; operations and losses beside their floors; a step of Llama-3-8B's shape and PyTorch's in turn. Everything is in
# FOLDER/results.json as soon as it is known. The status is 0 if all of it ran and passed.
#
# --dry_run: a test of each program and tiny sizes, for a device whose times say nothing.
set -uo pipefail
folder=$(realpath "${1:?hps-cuda/on_a_gpu.sh FOLDER [--dry_run]}")
dry_run=''
case ${2:-} in
'') ;;
--dry_run) dry_run=dry_run ;;
*) echo "error: unknown option $2: hps-cuda/on_a_gpu.sh FOLDER [--dry_run]" >&2 && exit 2 ;;
esac
cd "$(dirname "$0")/.."

# Seconds of the whole and of each part.
deadline=590 checks=120 sanitizer=155 operations=45 preference=45 step=215

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
programs=$work/programs results=$folder/results.json log=$work/log
mkdir "$programs"
unpack() {
    if command -v xz >/dev/null; then
        xz -dc "$1"
    else
        python3 -c 'import lzma, shutil, sys; shutil.copyfileobj(lzma.open(sys.argv[1]), sys.stdout.buffer)' "$1"
    fi
}
if ! unpack "$folder/programs.tar.xz" | tar -xC "$programs"; then
    echo "error: $folder/programs.tar.xz was not unpacked; that takes xz or Python" >&2
    exit 1
fi

# Where Python's wheels keep NVRTC and cuBLAS, and where the toolkit does.
wheels=$(python3 -c '
import glob, sysconfig
print(":".join(glob.glob(sysconfig.get_path("purelib") + "/nvidia/*/lib")))' 2>/dev/null)
export LD_LIBRARY_PATH=${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}${wheels:+$wheels:}/usr/local/cuda/lib64
export HPS_REQUIRE_CUDA=1 CARGO_MANIFEST_DIR=$PWD

record() { "$programs/device_results" "$@"; }
# shellcheck disable=SC2086 # nothing, where it is empty
record begin "$results" "$(cat "$programs/commit")" "$(date -u +%F)" $dry_run || exit
grep -A 11 '"machine"' "$results"

# part NAME SECONDS: what runs from here on belongs to it, and ends by then.
part() {
    part=$1 ends=$((SECONDS + $2))
    [ $ends -le $deadline ] || ends=$deadline
    printf '\n== %s, until second %d\n' "$part" $ends
}
# run NAME SECONDS COMMAND…: runs it within these seconds and those that the part has left. What it writes to the file $figures
# are its figures.
run() {
    local name=$1 limit=$2 begun status seconds
    shift 2
    [ "$limit" -le $((ends - SECONDS)) ] || limit=$((ends - SECONDS))
    begun=$(date +%s%N)
    if [ "$limit" -gt 0 ]; then
        timeout --kill-after=2 "$limit" "$@" >"$log" 2>&1
        status=$?
    else
        echo "no time was left" >"$log"
        status=124
    fi
    seconds=$((($(date +%s%N) - begun) / 1000000))
    seconds=$((seconds / 1000)).$(printf %03d $((seconds % 1000)))
    case $status in
    0) grep '^test result' "$log" || cat "$log" ;;
    124 | 137) tail -n 20 "$log" && echo "CUT OFF" ;;
    3) tail -n 1 "$log" ;;
    *) cat "$log" && echo "FAILED with status $status" ;;
    esac
    printf -- '-- %s %s: status %d, %s s\n' "$part" "$name" "$status" "$seconds"
    record add "$results" "$part" "$name" "$status" "$seconds" "$log" ${figures:+"$figures"}
}

part checks $checks
for test in "$programs"/tests/*; do
    name=$(basename "$test")
    case $name in hps-cuda-*) named=() ;; *) named=(cuda) ;; esac
    if [ -n "$dry_run" ]; then
        case $name in
        hps-cuda-* | hps-operations | hps-preference)
            named=(--exact "$("$test" --list "${named[@]}" 2>/dev/null | sed -n 's/: test$//p' | tail -n 1)")
            ;;
        *)
            record skip "$results" checks "$name" "a dry run"
            continue
            ;;
        esac
    fi
    run "$name" 60 "$test" "${named[@]}" --test-threads 4
done
run preference_kernels 30 "$programs/preference_kernels"
if [ -n "$dry_run" ]; then
    record skip "$results" checks finetune_llama3 "a dry run"
else
    run finetune_llama3 60 "$programs/finetune_llama3" --model_name_or_path assets/tiny-llama3 --quick --backend cuda \
        --output_dir "$work/finetune"
fi

part sanitizer $sanitizer
found=$(command -v compute-sanitizer || ls /usr/local/cuda/bin/compute-sanitizer 2>/dev/null)
if [ -n "$found" ]; then
    # The head, LoRA and what is small beside it, sampling, attention and its decoding: what one leaves of its share of a
    # tool's seconds, the next may use.
    sanitized=(head operations sampling attention)
    for tool in memcheck racecheck initcheck synccheck; do
        tool_ends=$((SECONDS + sanitizer / 4))
        options=()
        # Tests ask for what must be refused: an error that the driver returns is no fault.
        [ $tool != memcheck ] || options=(--report-api-errors no)
        for index in "${!sanitized[@]}"; do
            test=$programs/tests/hps-cuda-${sanitized[index]} named=()
            [ -z "$dry_run" ] || named=(--exact "$("$test" --list 2>/dev/null | sed -n 's/: test$//p' | tail -n 1)")
            run "$tool ${sanitized[index]}" $(((tool_ends - SECONDS) / (${#sanitized[@]} - index))) \
                "$found" --tool $tool "${options[@]}" --error-exitcode 9 "$test" "${named[@]}" --test-threads 1
        done
    done
else
    echo "SKIPPED: COMPUTE-SANITIZER IS NOT INSTALLED: no kernel was checked for races and accesses on this device"
    record skip "$results" sanitizer all "compute-sanitizer is not installed"
fi

tiny=()
[ -z "$dry_run" ] || tiny=(--tiny)
for bench in operations preference; do
    part $bench "${!bench}"
    figures=$work/$bench.json run $bench "${!bench}" "$programs/benches/$bench" --json "$work/$bench.json" "${tiny[@]}"
done

if [ -z "$dry_run" ]; then
    steps=20 shape=llama3-8b one_pair=1,2047 shared=1024,1024 lists=llama3.2-1b
else
    steps=1 shape=tiny one_pair=1,31 shared=16,16 lists=tiny
fi
ours() {
    part=step
    figures=$work/$1.json run "$1" "$2" "$programs/hps" bench --backend cuda --dtype bfloat16 --steps $steps \
        --json "$work/$1.json" "${@:3}"
}
# In turn: ours, then PyTorch's of the same tokens.
pair() {
    ours "$1" "$2" --shape $shape --parts throughput --pairs 1 --tokens "$4"
    part=peer
    figures=$work/peer.json run "$1" "$3" python3 hps-cuda/benches/peft_step.py --tokens "$4" --steps 5 \
        --json "$work/peer.json" "${tiny[@]}"
    rm -f "$work/peer.json"
}
part step $step
pair "one pair" 65 40 $one_pair
pair "a shared prompt" 65 40 $shared
# Not of 8B's shape: lists of a hundred of its responses, all kept, are 300 GB.
ours losses 90 --shape $lists --parts losses

record end "$results" $SECONDS

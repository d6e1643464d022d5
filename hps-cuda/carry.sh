#!/usr/bin/env bash
# Packs what checks and measures the CUDA backend, for a machine that has a GPU and its driver, NVRTC and cuBLAS and nothing
# else: hps-cuda/carry.sh FOLDER, then there, in a copy of this repository: hps-cuda/on_a_gpu.sh FOLDER
#
# hps-cuda/carry.sh FOLDER OPTIONS builds with these options of cargo: with --all-features it packs what
# `cargo test --release --all-features` has built. FOLDER may take 60 MB.
set -euo pipefail
folder=$(realpath -m "${1:?hps-cuda/carry.sh FOLDER [OPTIONS OF CARGO]}")
shift
cd "$(dirname "$0")/.."
[ $# -gt 0 ] || set -- -p hps -p hps-cuda -p hps-llama --features hps/cuda
most=60000000

# Tests that need a device: of the workspace's own those named `cuda` are run, of hps-cuda all. Not `missing`, which asks the
# emulated device alone, and `resources`, which needs none.
tests=(operations preference transformers trl gradients quantised trainer checkpoints generation
    attention cache head memory replay sampling shared_buffers teardown)

# Paths of the programs that a build made, one a line, with the package and the kind of each.
built() {
    cargo "$@" --quiet --message-format=json-render-diagnostics | python3 -c '
import json, os, sys
for line in sys.stdin:
    message = json.loads(line)
    if message.get("executable"):
        folder = os.path.relpath(os.path.dirname(message["manifest_path"]))
        package = {".": "hps", "hps-cuda": "hps-cuda", "hps-llama": "hps-llama"}.get(folder)
        kind, name = message["target"]["kind"][0], message["target"]["name"]
        # Tests of other packages have these names too.
        if package and (package != "hps-llama" or kind == "bin"):
            print(package, kind, name, message["executable"])'
}

stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
mkdir -p "$stage/tests" "$stage/benches" "$folder"
{
    built test --release "$@" --no-run "${tests[@]/#/--test=}" --bench operations --bench preference
    built build --release "$@" --bin hps --example finetune_llama3 --example preference_kernels --example device_results
} >"$stage/built"
while read -r package kind name path; do
    case $kind/$name in
    bench/*) to=benches/$name ;;
    test/*) to=tests/$package-$name ;;
    bin/hps | example/finetune_llama3 | example/preference_kernels | example/device_results) to=$name ;;
    *) continue ;;
    esac
    cp "$path" "$stage/$to"
done <"$stage/built"
rm "$stage/built"
find "$stage" -type f -exec strip {} +
git describe --always --dirty --abbrev=12 --exclude '*' >"$stage/commit" 2>/dev/null || echo unknown >"$stage/commit"

# Each of the large programs holds the whole of hps-llama: a window of 64 MiB finds the copies. Python stands in for xz.
packed=$folder/programs.tar.xz
compress() {
    if command -v xz >/dev/null; then
        xz --threads=1 --lzma2=preset=0,dict=64MiB
    else
        python3 -c '
import lzma, shutil, sys
filters = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 64 << 20}]
with lzma.open(sys.stdout.buffer, "wb", filters=filters) as packed:
    shutil.copyfileobj(sys.stdin.buffer, packed)'
    fi
}
tar -C "$stage" --sort=name -c . | compress >"$packed"
size=$(stat -c %s "$packed")
printf '%s: %d.%d MB, of %d MB unpacked\n' "$packed" $((size / 1000000)) $((size / 100000 % 10)) \
    $(($(du -sb "$stage" | cut -f1) / 1000000))
if [ "$size" -gt "$most" ]; then
    echo "error: it may take $((most / 1000000)) MB" >&2
    exit 1
fi

#!/usr/bin/env bash
# Checks that are too long for CI, or that need what CI cannot reach; run by hand. Each adds a row to tests/long.md.
# `tests/long.sh [CHECK...]`: kills races memory fuzz advisories; all of them by default. From the environment: KILLS (1000),
# RACES (200), STEPS (1000), FUZZ_SECONDS (a target, 120), SEED.
set -uo pipefail
cd "$(dirname "$0")/.."
record=tests/long.md
kills=${KILLS:-1000} races=${RACES:-200} steps=${STEPS:-1000} fuzz=${FUZZ_SECONDS:-120} seed=${SEED:-$(date +%s)}
export HPS_KILLS=$kills HPS_RACES=$races HPS_STEPS=$steps HPS_LONG_SEED=$seed
[ $# -gt 0 ] || set -- kills races memory fuzz advisories

said=$(mktemp)
trap 'rm -f "$said"' EXIT
commit=$(git rev-parse --short HEAD)
git diff --quiet HEAD -- || commit="$commit, changed"
machine="$(lscpu | sed -n 's/^Model name: *//p' | head -n 1), $(nproc) cores"
failed=0

# One test at a time: moments are shares of what a call takes when nothing else runs.
long() { cargo test --quiet --release -p hps-llama --test long -- --nocapture --test-threads 1 "$@"; }
sum() { { grep -o "[0-9]* $1" "$said" || true; } | awk '{ all += $1 } END { print all + 0 }'; }
violations() { grep -c 'violation: [a-z_]*, case ' "$said" || true; }

kills() { long kills::; }
races() { long races:: && long reference::; }
memory() { cargo test --quiet --release --all-features --test trainer -- --nocapture many_steps; }
fuzz() {
    local target
    for target in fuzz/fuzz_targets/*.rs; do
        (cd fuzz && RUSTC_BOOTSTRAP=1 cargo fuzz run -O "$(basename "$target" .rs)" -- -max_total_time="$fuzz") || return 1
    done
}
advisories() { cargo deny check advisories; }

# What was done; kills are counted while a file is written, so there are a few more of them than were asked for.
amount() {
    case $1 in
    kills) echo "$(sum kills) kills, seed $seed" ;;
    races) echo "$(sum races) races, seed $seed" ;;
    memory) echo "$steps steps" ;;
    fuzz) echo "$(ls fuzz/fuzz_targets | wc -l) targets, $fuzz s each" ;;
    advisories) echo "$(grep -c '^name = ' Cargo.lock) packages" ;;
    esac
}

for check in "$@"; do
    printf '\n== %s ==\n' "$check"
    begun=$SECONDS
    if "$check" 2>&1 | tee "$said"; then outcome=held; else outcome="failed, $(violations) violations" failed=1; fi
    printf '| %s | %s | %s | %s | %s | %s | %s |\n' "$(date -u +%F)" "$commit" "$machine" "$check" "$(amount "$check")" \
        "$((SECONDS - begun))" "$outcome" >>"$record"
    tail -n 1 "$record"
done
exit "$failed"

#!/usr/bin/env bash
# Checks that are too long for CI, run by hand: 1,000 kills at random moments, and 200 races for each kind of output.
# Adds a row to tests/long.md for what it finds. `tests/long.sh [KILLS [RACES [SEED]]]`.
set -euo pipefail
cd "$(dirname "$0")/.."
record=tests/long.md
kills=${1:-1000}
races=${2:-200}
seed=${3:-$(date +%s)}
export HPS_KILLS=$kills HPS_RACES=$races HPS_LONG_SEED=$seed

cargo test --quiet --release -p hps-llama --test long --no-run
said=$(mktemp)
trap 'rm -f "$said"' EXIT

# One test at a time: moments are shares of what a call takes when nothing else runs.
part() {
    local name=$1 filter=$2 begun=$SECONDS status=0
    printf '\n== %s ==\n' "$name"
    cargo test --quiet --release -p hps-llama --test long -- --nocapture --test-threads 1 "$filter" 2>&1 |
        tee -a "$said" || status=1
    seconds=$((SECONDS - begun))
    printf '%s: %d s\n' "$name" "$seconds"
    return "$status"
}
outcome=held
part kills kills:: || outcome=
kill_seconds=$seconds
part races races:: || outcome=
race_seconds=$seconds
part "a shared cache of reference log-probs" reference:: || outcome=
race_seconds=$((race_seconds + seconds))

if [ -z "$outcome" ]; then
    outcome="$(grep -c 'violation: [a-z_]*, case ' "$said" || true) violations"
fi
# Kills are counted while a file is written, so there are a few more of them than were asked for.
sum() { { grep -o "[0-9]* $1" "$said" || true; } | awk '{ all += $1 } END { print all + 0 }'; }
commit=$(git rev-parse --short HEAD)
git diff --quiet HEAD -- || commit="$commit, changed"
machine="$(lscpu | sed -n 's/^Model name: *//p' | head -n 1), $(nproc) cores"

if [ ! -f "$record" ]; then
    cat > "$record" <<'END'
# Long checks

What `tests/long.sh` has found, one row a run.

* Kills: `hps train`, `generate`, `score`, `evaluate`, `data` and `merge` with random options are stopped with `kill -9` at
  random moments (`train` sometimes with SIGTERM, SIGINT or SIGHUP) and called again until they end by themselves. All files
  must have the same bytes as after a call that nothing stops, no temporary file may be left, and no input may change.
  Between two calls, other options are tried, which must be refused and change nothing, and the ends of half-written files
  are cut off.
  One thing differs by design: a run that SIGTERM, SIGINT or SIGHUP ended has logged the mean of the updates since its last
  line, so with `--logging_steps` above 1 its log has other lines of means. Its evaluations and all else are compared.
* Races: two or four processes write one output at the same moment. The output must be that of one of them, byte for byte,
  and each of the others must end with one line that says why it does not write. Runs that share a cache of reference
  log-probs must all succeed.

A violation is a case in which one of these does not hold. "Held" means that there was none. The seed repeats the options of
a run, not its moments: those depend on the machine.

| date | commit | machine | kills | seconds | races | seconds | seed | outcome |
|---|---|---|---|---|---|---|---|---|
END
fi
printf '| %s | %s | %s | %s | %s | %s | %s | %s | %s |\n' "$(date -u +%F)" "$commit" "$machine" "$(sum kills)" \
    "$kill_seconds" "$(sum races)" "$race_seconds" "$seed" "$outcome" >> "$record"
tail -n 1 "$record"
[ "$outcome" = held ]

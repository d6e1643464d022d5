#!/usr/bin/env bash
# Builds hps-core for a bare-metal Arm microcontroller, where there is neither std nor an allocator. Needs rustup.
set -euo pipefail
cd "$(dirname "$0")/../.."

target=thumbv7em-none-eabihf
if ! command -v rustup >/dev/null; then
    echo "rustup is needed to install the target $target"
    exit 1
fi
rustup target add "$target"
cargo build --release -p hps-core --target "$target"
echo "hps-core builds for $target"

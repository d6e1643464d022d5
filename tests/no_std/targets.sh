#!/usr/bin/env bash
# Builds hps-core, with the features that need no std, for a bare-metal Arm microcontroller, where there is neither std nor an
# allocator, and for WebAssembly. rustup fetches what is missing of the two targets; exits with 3 where it
# cannot.
set -euo pipefail
cd "$(dirname "$0")/../.."

for target in thumbv7em-none-eabihf wasm32-unknown-unknown; do
    if ! [ -d "$(rustc --print target-libdir --target "$target")" ] && ! rustup target add "$target"; then
        echo "hps-core is not checked for $target: its core library is not there and rustup could not fetch it"
        exit 3
    fi
    cargo build --quiet --release -p hps-core --features bytemuck,serde --target "$target"
    echo "hps-core builds for $target"
done

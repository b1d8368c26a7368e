#!/usr/bin/env bash
# Builds the static library for one Apple target and prints its path.
#   ios/build-static.sh TARGET [FEATURES [CARGO ARGUMENT...]]
# Example: ios/build-static.sh aarch64-apple-ios capi,gpu
set -euo pipefail
cd "$(dirname "$0")/.."
# As in Package.swift.
export IPHONEOS_DEPLOYMENT_TARGET=16.0 MACOSX_DEPLOYMENT_TARGET=13.0
cargo rustc --lib --crate-type staticlib --profile app --no-default-features \
    --features "${2:-capi,gpu}" --target "$1" "${@:3}"
echo "${CARGO_TARGET_DIR:-target}/$1/app/libtrm_runtime.a"

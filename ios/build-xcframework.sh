#!/usr/bin/env bash
# Builds Trm.xcframework for iOS devices, the iOS simulator and macOS. Package.swift uses it.
# Runs on a Mac with Xcode and Rust:
#   rustup target add aarch64-apple-ios aarch64-apple-ios-sim x86_64-apple-ios
#   rustup target add aarch64-apple-darwin x86_64-apple-darwin
#   ios/build-xcframework.sh
set -euo pipefail
cd "$(dirname "$0")/.."
if [ "$(uname -s)" != Darwin ]; then
    echo "this script needs xcodebuild and lipo, which only macOS has;" \
        "ios/check-native.sh builds the libraries on Linux" >&2
    exit 2
fi
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# A folder of its own: a module.modulemap directly in Headers collides with other frameworks.
mkdir -p "$scratch/Headers/CTrm"
cp include/trm.h include/module.modulemap "$scratch/Headers/CTrm"

# Builds one library for all architectures of a platform.
arguments=()
platform() { # NAME TARGET...
    local name=$1 library libraries=()
    shift
    for target in "$@"; do
        library=$(ios/build-static.sh "$target" | tail -n 1)
        libraries+=("$library")
    done
    mkdir "$scratch/$name"
    lipo -create "${libraries[@]}" -output "$scratch/$name/libtrm.a"
    arguments+=(-library "$scratch/$name/libtrm.a" -headers "$scratch/Headers")
}
platform device aarch64-apple-ios
platform simulator aarch64-apple-ios-sim x86_64-apple-ios
platform mac aarch64-apple-darwin x86_64-apple-darwin

rm -rf ios/Trm.xcframework
xcodebuild -create-xcframework "${arguments[@]}" -output ios/Trm.xcframework

#!/usr/bin/env bash
# Builds Trm.xcframework, which Package.swift takes: iPhones and iPads, their simulator, and Macs. On a Mac with Xcode and Rust:
#   rustup target add aarch64-apple-ios aarch64-apple-ios-sim x86_64-apple-ios aarch64-apple-darwin x86_64-apple-darwin
#   ios/build-xcframework.sh
set -euo pipefail
cd "$(dirname "$0")/.."
[ "$(uname -s)" = Darwin ] || { echo "xcodebuild and lipo are on a Mac only; ios/check-native.sh builds the libraries elsewhere" >&2; exit 2; }
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# In a folder of their own: a module.modulemap directly in Headers would clash with another framework's.
mkdir -p "$scratch/Headers/CTrm"
cp include/trm.h include/module.modulemap "$scratch/Headers/CTrm"

# One library for all processors of a platform.
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

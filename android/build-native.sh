#!/usr/bin/env bash
# Builds libtrm_jni.so for the phones and the emulator into the Kotlin library. Needs the NDK (ANDROID_NDK_HOME, or the newest under ANDROID_HOME) and
# cargo-ndk: `cargo install cargo-ndk`. Gradle calls it; arguments go on to cargo, as `--no-default-features` for the CPU alone.
set -euo pipefail
cd "$(dirname "$0")/.."
# The oldest Android that the library runs on: minSdk in trm/build.gradle.kts.
exec cargo ndk -t arm64-v8a -t armeabi-v7a -t x86_64 -P 24 -o android/trm/src/main/jniLibs build -p trm-jni --profile app "$@"

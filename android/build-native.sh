#!/usr/bin/env bash
# Builds libtrm_jni.so for phones and the emulator into the Kotlin library. Gradle runs this script.
#   android/build-native.sh [CARGO ARGUMENT...]
# Example argument: --no-default-features builds a library without the GPU backend.
# Needs cargo-ndk (`cargo install cargo-ndk`) and the NDK: ANDROID_NDK_HOME, or the newest version
# under ANDROID_HOME.
set -euo pipefail
cd "$(dirname "$0")/.."
abis=(-t arm64-v8a -t armeabi-v7a -t x86_64)
# 24 = minSdk in trm/build.gradle.kts.
exec cargo ndk "${abis[@]}" -P 24 -o android/trm/src/main/jniLibs \
    build -p trm-jni --profile app "$@"

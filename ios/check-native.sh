#!/usr/bin/env bash
# Builds the static libraries for iOS devices and the simulator on Linux, CPU-only and with the GPU
# backend. Links each one as an app does, checks its functions, platform and system calls, and
# prints its size. Prints "skipped" for what is not available here.
set -euo pipefail
cd "$(dirname "$0")/.."
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
fail() { echo "failed: $1" >&2; exit 1; }

if ! command -v llvm-nm >/dev/null || ! command -v llvm-objdump >/dev/null; then
    { apt-get update && apt-get install -y --no-install-recommends llvm; } >&2 ||
        { echo "skipped: Debian's llvm is not available"; exit 0; }
fi
lld=$(rustc --print sysroot)/lib/rustlib/$(rustc -vV | sed -n 's/^host: //p')/bin/rust-lld

# The functions of the header, with the underscore that Apple's linkers expect.
grep -v '^ *//' include/trm.h | grep -oE '\btrm_[a-z_]+\(' | sed 's/^/_/; s/($//' |
    sort -u >"$scratch/functions"

build() { # TARGET FEATURES
    if rustup target list --installed | grep -qx "$1" || rustup -q target add "$1"; then
        ios/build-static.sh "$1" "$2"
    else
        .ci/debian-rust ios/build-static.sh "$1" "$2" -Zbuild-std=std,panic_unwind
    fi
}

# Prints the system symbols that the linked library needs and that match a pattern.
needed() { # PATTERN
    llvm-nm -u "$scratch/linked" | grep -xE " *_($1)" || true
}

check() { # TARGET FEATURES PLATFORM
    local library status
    library=$(build "$1" "$2" | tail -n 1) || {
        status=$?
        [ $status = 75 ] || exit $status
        echo "skipped: no standard library for $1"
        return
    }

    # llvm-nm fails on members of the standard library that a newer LLVM wrote. It lists all others,
    # so a missing function is still found.
    { llvm-nm --defined-only --extern-only "$library" 2>/dev/null || true; } |
        sed -n 's/.* T \(_trm_.*\)/\1/p' | sort >"$scratch/defined"
    diff "$scratch/functions" "$scratch/defined" ||
        fail "$1: the functions of the library (right) differ from those of trm.h (left)"
    local platforms
    platforms=$(llvm-objdump --macho --private-headers "$library" |
        sed -n 's/^ *platform //p' | sort -u)
    [ "$platforms" = "$3" ] || fail "$1: the platform is '$platforms', not $3"

    # Keeps only what the functions reach, without symbol names. This is what an app gains.
    # shellcheck disable=SC2046 # one word per function
    "$lld" -flavor darwin -arch arm64 \
        -platform_version "${3/simulator/-simulator}" 16.0 16.0 \
        -dylib -dead_strip -x -undefined dynamic_lookup \
        -exported_symbols_list "$scratch/functions" $(sed 's/^/-u /' "$scratch/functions") \
        "$library" -o "$scratch/linked"
    local size
    size=$(stat -c %s "$scratch/linked")
    echo "$1, $2: static library $(stat -c %s "$library") bytes, in an app $size bytes"

    if [[ $2 != *gpu* ]]; then
        local gpu_symbols
        gpu_symbols=$(needed '(MTL|CG|objc_).*')
        [ -z "$gpu_symbols" ] || fail "the CPU-only library needs $gpu_symbols"
        return
    fi
    [ -n "$(needed MTLCreateSystemDefaultDevice)" ] || fail "the GPU backend does not use Metal"
    # Apple requires a declared reason for these categories of APIs.
    local category symbols declared used
    while read -r category symbols; do
        declared=$(grep -c "NSPrivacyAccessedAPICategory$category<" \
            ios/Sources/Trm/PrivacyInfo.xcprivacy || true)
        used=$(needed "$symbols")
        # Declared once if used, else not at all.
        [ "$declared" = "$([ -n "$used" ] && echo 1 || echo 0)" ] ||
            fail "PrivacyInfo.xcprivacy declares $category $declared times; used: $used"
    done <<'APIS'
FileTimestamp (f|l)?stat|fstatat|f?getattrlist|getattrlist(at|bulk)
SystemBootTime mach_absolute_time
DiskSpace f?stat(v)?fs|f?getattrlist|getattrlistat
UserDefaults OBJC_CLASS_\$_NSUserDefaults
APIS
}

for features in capi capi,gpu; do
    check aarch64-apple-ios "$features" ios
    check aarch64-apple-ios-sim "$features" iossimulator
done

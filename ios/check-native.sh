#!/usr/bin/env bash
# Builds the static libraries of iPhones and of the simulator on Linux, links each as an app does, and looks into what came out.
# What cannot be had is skipped aloud.
set -euo pipefail
cd "$(dirname "$0")/.."
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
fail() { echo "failed: $1" >&2; exit 1; }

if ! command -v llvm-nm >/dev/null || ! command -v llvm-objdump >/dev/null; then
    { apt-get update && apt-get install -y --no-install-recommends llvm; } >&2 || { echo "skipped: Debian's llvm cannot be had"; exit 0; }
fi
lld=$(rustc --print sysroot)/lib/rustlib/$(rustc -vV | sed -n 's/^host: //p')/bin/rust-lld

# The functions of the header, as Apple's linkers name them.
grep -oE '\btrm_[a-z_]+\(' include/trm.h | sed 's/^/_/; s/($//' | sort -u >"$scratch/functions"

build() { # TARGET FEATURES
    if rustup target list --installed | grep -qx "$1" || rustup -q target add "$1"; then
        ios/build-static.sh "$1" "$2"
    else
        .ci/debian-rust ios/build-static.sh "$1" "$2" -Zbuild-std=std,panic_unwind
    fi
}

# What the library takes from the system.
taken() { llvm-nm -u "$scratch/linked" | grep -xE " *_($1)" || true; }

check() { # TARGET FEATURES PLATFORM
    local library
    library=$(build "$1" "$2" | tail -n 1) || { local status=$?; [ $status = 75 ] || exit $status; echo "skipped: no standard library for $1"; return; }

    # It fails at members of the standard library that a newer LLVM wrote; a function that is missing is seen all the same.
    { llvm-nm --defined-only --extern-only "$library" 2>/dev/null || true; } | sed -n 's/.* T \(_trm_.*\)/\1/p' | sort >"$scratch/defined"
    diff "$scratch/functions" "$scratch/defined" || fail "the functions of $1 (right) are not those of trm.h (left)"
    local platforms
    platforms=$(llvm-objdump --macho --private-headers "$library" | sed -n 's/^ *platform //p' | sort -u)
    [ "$platforms" = "$3" ] || fail "$1 is for '$platforms', not for $3"

    # Only what the functions reach, without names: what an app gains.
    # shellcheck disable=SC2046 # one word a function
    "$lld" -flavor darwin -arch arm64 -platform_version "${3/simulator/-simulator}" 16.0 16.0 -dylib -dead_strip -x -undefined dynamic_lookup \
        -exported_symbols_list "$scratch/functions" $(sed 's/^/-u /' "$scratch/functions") "$library" -o "$scratch/linked"
    echo "$1, $2: the library $(stat -c %s "$library") bytes, in an app $(stat -c %s "$scratch/linked")"

    if [[ $2 != *gpu* ]]; then
        [ -z "$(taken '(MTL|CG|objc_).*')" ] || fail "the CPU alone needs $(taken '(MTL|CG|objc_).*')"
        return
    fi
    [ -n "$(taken MTLCreateSystemDefaultDevice)" ] || fail "the GPU does without Metal"
    # Apple wants a reason for some APIs, by category.
    local category symbols declared
    while read -r category symbols; do
        declared=$(grep -c "NSPrivacyAccessedAPICategory$category<" ios/Sources/Trm/PrivacyInfo.xcprivacy || true)
        [ "$declared" = "$(taken "$symbols" | grep -c . | sed 's/[1-9].*/1/')" ] ||
            fail "PrivacyInfo.xcprivacy has $declared of $category; taken: $(taken "$symbols")"
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

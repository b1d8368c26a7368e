#!/usr/bin/env bash
# Builds libtrm_jni.so for every ABI without an NDK, for the CPU alone and with the GPU, and looks into what came out: the functions it exports, what
# it takes from the system, the alignment of its segments, its size.
#   android/check-native.sh [ABI...]       as arm64-v8a
# The libraries do not run on a phone: they are linked with stand-ins that have the names of Android 7's system libraries (bionic-24.txt) and nothing
# behind them, so that a name which is newer, or missing, fails here. The NDK brings the unwinder inside, which is not counted.
set -euo pipefail
cd "$(dirname "$0")/.."
target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
work=$target/android
mkdir -p "$work"
fail() { echo "failed: $1" >&2; exit 1; }

if ! command -v llvm-nm >/dev/null || ! command -v llvm-readelf >/dev/null; then
    { apt-get update && apt-get install -y --no-install-recommends llvm; } >&2 || { echo "skipped: Debian's llvm cannot be had"; exit 0; }
fi
lld=$(rustc --print sysroot)/lib/rustlib/$(rustc -vV | sed -n 's/^host: //p')/bin/rust-lld

# Calls the linker as the NDK's clang would be called, and lets nothing be undefined.
cat >"$work/clang" <<'LINK'
#!/usr/bin/env bash
arguments=()
for argument; do
    case $argument in
    -Wl,*) IFS=, read -ra parts <<<"${argument#-Wl,}"; arguments+=("${parts[@]}") ;;
    -nodefaultlibs | -m64 | -march=*) ;;
    *) arguments+=("$argument") ;;
    esac
done
exec "$TRM_LLD" -flavor gnu --error-limit=0 -z defs -L "$TRM_STUBS" "${arguments[@]}"
LINK
chmod +x "$work/clang"
export TRM_LLD=$lld

# The functions that Kotlin declares.
sed -n 's/.*external fun \([A-Za-z]*\)(.*/Java_dev_trm_Native_\1/p' android/trm/src/main/kotlin/dev/trm/Native.kt | sort >"$work/functions"

check() { # ABI TARGET FEATURES
    local abi=$1 triple=$2 features=$3
    # One library has the names, the others are there because they are asked for.
    export TRM_STUBS=$work/stubs/$abi
    mkdir -p "$TRM_STUBS"
    {
        echo '#![no_std]'
        # Whatever they are, the linker sees names only.
        sed 's/ *#.*//; /^$/d; s/.*/#[unsafe(export_name = "&")] pub static S_&: u8 = 0;/' android/jni/bionic-24.txt
    } >"$TRM_STUBS/names.rs"
    rustc --edition 2024 --target "$triple" --crate-type lib --emit obj -A warnings -o "$TRM_STUBS/names.o" "$TRM_STUBS/names.rs"
    rustc --edition 2024 --target "$triple" --crate-type lib --emit obj -o "$TRM_STUBS/none.o" - <<<'#![no_std]'
    "$lld" -flavor gnu -shared -soname libc.so "$TRM_STUBS/names.o" -o "$TRM_STUBS/libc.so"
    for library in android dl log m unwind; do
        "$lld" -flavor gnu -shared -soname "lib$library.so" "$TRM_STUBS/none.o" -o "$TRM_STUBS/lib$library.so"
    done

    local library=$target/$triple/app/libtrm_jni.so
    # So that it is linked anew, whoever linked it before.
    rm -f "$library" "$target/$triple/app/deps/libtrm_jni.so"
    local variable=CARGO_TARGET_${triple^^}_LINKER
    env "${variable//-/_}=$work/clang" cargo build -p trm-jni --profile app --target "$triple" --no-default-features ${features:+--features "$features"}

    llvm-nm --dynamic --defined-only --format=just-symbols "$library" | sort >"$work/exported"
    diff "$work/functions" "$work/exported" || fail "$abi exports other functions (right) than Native.kt declares (left)"
    local aligned
    aligned=$(llvm-readelf --program-headers --wide "$library" | awk '$1 == "LOAD" { print $NF }' | sort -u)
    [ "$aligned" = 0x4000 ] || fail "the segments of $abi are aligned to $aligned, not to 16 KB"
    echo "$abi, ${features:-the CPU alone}: $(stat -c %s "$library") bytes"
}

[ $# -gt 0 ] || set -- arm64-v8a armeabi-v7a x86_64
for abi; do
    case $abi in
    arm64-v8a) triple=aarch64-linux-android ;;
    armeabi-v7a) triple=armv7-linux-androideabi ;;
    x86_64) triple=x86_64-linux-android ;;
    *) echo "no ABI $abi" >&2; exit 2 ;;
    esac
    rustup -q target add "$triple" || { echo "skipped: rustup cannot add $triple"; continue; }
    check "$abi" "$triple" ""
    check "$abi" "$triple" gpu
done

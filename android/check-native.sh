#!/usr/bin/env bash
# Builds libtrm_jni.so for every ABI without an NDK, CPU-only and with the GPU backend. Checks its
# exported functions, the system symbols it needs and its segment alignment, and prints its size.
#   android/check-native.sh [ABI...]       example: arm64-v8a
# The libraries do not run on a phone. They are linked against stubs of Android 7's system
# libraries, which have symbol names (bionic-24.txt) but no code. A symbol that is newer or missing
# fails the link. The NDK would also link an unwinder, which is not included in the sizes.
set -euo pipefail
cd "$(dirname "$0")/.."
target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
work=$target/android
mkdir -p "$work"
fail() { echo "failed: $1" >&2; exit 1; }

if ! command -v llvm-nm >/dev/null || ! command -v llvm-readelf >/dev/null; then
    { apt-get update && apt-get install -y --no-install-recommends llvm; } >&2 ||
        { echo "skipped: Debian's llvm is not available"; exit 0; }
fi
lld=$(rustc --print sysroot)/lib/rustlib/$(rustc -vV | sed -n 's/^host: //p')/bin/rust-lld

# Translates the arguments of the NDK's clang for the linker and forbids undefined symbols.
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
sed -n 's/.*external fun \([A-Za-z]*\)(.*/Java_dev_trm_Native_\1/p' \
    android/trm/src/main/kotlin/dev/trm/Native.kt | sort >"$work/functions"

compile_stub() { # TARGET SOURCE OBJECT
    rustc --edition 2024 --target "$1" --crate-type lib --emit obj -A warnings -o "$3" "$2"
}

check() { # ABI TARGET FEATURES
    local abi=$1 triple=$2 features=$3
    # libc.so has all names. The other libraries are empty, but the linker asks for them.
    export TRM_STUBS=$work/stubs/$abi
    mkdir -p "$TRM_STUBS"
    local item='#[unsafe(export_name = "&")] pub static S_&: u8 = 0;'
    {
        echo '#![no_std]'
        # Every symbol is a static, because the linker compares names only.
        sed "s/ *#.*//; /^\$/d; s/.*/$item/" android/jni/bionic-24.txt
    } >"$TRM_STUBS/names.rs"
    echo '#![no_std]' >"$TRM_STUBS/empty.rs"
    for stub in names empty; do
        compile_stub "$triple" "$TRM_STUBS/$stub.rs" "$TRM_STUBS/$stub.o"
    done
    link_stub() { # NAME OBJECT
        "$lld" -flavor gnu -shared -soname "lib$1.so" "$TRM_STUBS/$2.o" -o "$TRM_STUBS/lib$1.so"
    }
    link_stub c names
    for library in android dl log m unwind; do
        link_stub "$library" empty
    done

    local library=$target/$triple/app/libtrm_jni.so
    # Forces a new link, because another linker may have made the existing file.
    rm -f "$library" "$target/$triple/app/deps/libtrm_jni.so"
    local variable=CARGO_TARGET_${triple^^}_LINKER
    env "${variable//-/_}=$work/clang" cargo build -p trm-jni --profile app --target "$triple" \
        --no-default-features ${features:+--features "$features"}

    llvm-nm --dynamic --defined-only --format=just-symbols "$library" | sort >"$work/exported"
    diff "$work/functions" "$work/exported" ||
        fail "$abi: the exported functions (right) differ from those in Native.kt (left)"
    local alignment
    alignment=$(llvm-readelf --program-headers --wide "$library" |
        awk '$1 == "LOAD" { print $NF }' | sort -u)
    [ "$alignment" = 0x4000 ] || fail "$abi: the segments are aligned to $alignment, not to 16 KB"
    echo "$abi, ${features:-CPU only}: $(stat -c %s "$library") bytes"
}

[ $# -gt 0 ] || set -- arm64-v8a armeabi-v7a x86_64
for abi; do
    case $abi in
    arm64-v8a) triple=aarch64-linux-android ;;
    armeabi-v7a) triple=armv7-linux-androideabi ;;
    x86_64) triple=x86_64-linux-android ;;
    *) echo "unknown ABI: $abi" >&2; exit 2 ;;
    esac
    rustup -q target add "$triple" || { echo "skipped: rustup cannot add $triple"; continue; }
    check "$abi" "$triple" ""
    check "$abi" "$triple" gpu
done

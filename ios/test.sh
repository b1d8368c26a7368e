#!/usr/bin/env bash
# Builds and tests the Swift package, and what the sample does without SwiftUI, on Linux against the real library, with Debian's Swift 6.
# As root; about 560 MB are downloaded once, 2.6 GB are unpacked.
#   ios/test.sh [ARGUMENT OF SWIFT TEST...]      as --filter Cancelling
# TRM_SWIFT_ROOT is the folder that Debian's packages are unpacked into, swift-root in cargo's target folder unless told. Nothing is installed.
set -euo pipefail
cd "$(dirname "$0")/.."
repository=$PWD
target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
root=$(realpath -m "${TRM_SWIFT_ROOT:-$target/swift-root}")
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

skipped() { echo "skipped: $1; the Swift package was not tested"; exit 0; }
[ "$(uname -s)" = Linux ] && command -v dpkg >/dev/null && command -v apt-get >/dev/null || skipped "this is no Debian"
[ "$(id -u)" = 0 ] && unshare --mount true || skipped "a folder as Debian's root needs root here, and mounts"

# A Debian with Swift in a folder, from the mirror that this machine uses. The folder appears when it is complete.
if [ ! -e "$root/usr" ]; then
    # Swift came with Debian 13; a library that is built on an older one runs there.
    release=trixie
    mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Component: main' | head -n 1)
    keys=/usr/share/keyrings/debian-archive-keyring.gpg
    [ -n "$mirror" ] && [ -e "$keys" ] || skipped "apt knows no mirror of Debian"
    mkdir -p "$scratch"/apt/{lists,cache/archives}/partial
    # Not as apt's own user, who may not write here.
    echo "deb [signed-by=$keys] $mirror $release main" >"$scratch/apt/sources.list"
    : >"$scratch/apt/status"
    apt=(apt-get -q -o "Dir::State=$scratch/apt" -o "Dir::State::status=$scratch/apt/status" -o "Dir::State::lists=$scratch/apt/lists"
        -o "Dir::Cache=$scratch/apt/cache" -o "Dir::Etc::sourcelist=$scratch/apt/sources.list" -o Dir::Etc::sourceparts=/dev/null
        -o APT::Sandbox::User=root)
    "${apt[@]}" update && "${apt[@]}" install -y --download-only --no-install-recommends \
        swiftlang swiftlang-dev base-files bash coreutils libc6-dev libstdc++-14-dev >"$scratch/apt/log" ||
        { tail -n 5 "$scratch/apt/log" >&2; skipped "Debian $release's swiftlang cannot be had"; }
    rm -rf "$root.part"
    mkdir -p "$root.part"
    # First what makes the folders, /bin and /lib among them.
    for deb in "$scratch"/apt/cache/archives/{base-files_,}*.deb; do
        dpkg -x "$deb" "$root.part"
    done
    ln -sf bash "$root.part/usr/bin/sh"
    mknod -m 666 "$root.part/dev/null" c 1 3
    mknod -m 666 "$root.part/dev/urandom" c 1 9
    mkdir -p "$root.part"/{trm,library,build}
    mv -T "$root.part" "$root"
fi

cargo rustc --lib --crate-type cdylib --profile app --no-default-features --features capi,gpu
mkdir -p "$target/swift-build"

# In a mount namespace of its own, so that nothing stays mounted, whatever ends this.
inside() { # COMMAND...
    unshare --mount --propagation private bash -c '
        set -eu
        root=$1 repository=$2 target=$3
        shift 3
        mount --bind /proc "$root/proc"
        mount --bind "$repository" "$root/trm"
        mount -o remount,bind,ro "$root/trm"
        mount --bind "$target/app" "$root/library"
        mount --bind "$target/swift-build" "$root/build"
        exec chroot "$root" env -i HOME=/build PATH=/usr/libexec/swift/bin:/usr/bin:/bin \
            LD_LIBRARY_PATH=/library:/usr/libexec/swift/lib/swift/linux:/usr/libexec/swift/lib/swift/host "$@"
    ' bash "$root" "$repository" "$target" "$@"
}
for package in ios ios/Sample/Thinking; do
    # Swift 6.0's libswiftObservation.so lacks a function that it calls only when it gives up.
    arguments=(--package-path "/trm/$package" --scratch-path "/build/$package" --disable-sandbox -Xlinker -L/library -Xlinker --allow-shlib-undefined)
    inside swift-build "${arguments[@]}" -Xswiftc -warnings-as-errors --build-tests
    # Many of the tests are of what would go on for days if it did not stop.
    inside timeout 900 swift-test "${arguments[@]}" --skip-build --disable-swift-testing "$@"
done
# SwiftUI is on Apple's systems only: the grammar is all that can be seen of it here.
app=(ios/Sample/App/*.swift)
inside swiftc -frontend -parse "${app[@]/#//trm/}"

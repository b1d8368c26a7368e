#!/usr/bin/env bash
# Builds and tests the Swift package and the sample's SampleCore on Linux, against the native
# library, with Debian's Swift 6. Needs root. Downloads about 560 MB once and unpacks 2.6 GB.
#   ios/test.sh [SWIFT TEST ARGUMENT...]      example: --filter Cancelling
# TRM_SWIFT_ROOT is the folder for the unpacked Debian packages. Default: swift-root in cargo's
# target folder. Nothing is installed on the system.
set -euo pipefail
cd "$(dirname "$0")/.."
repository=$PWD
target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
root=$(realpath -m "${TRM_SWIFT_ROOT:-$target/swift-root}")
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

skip() { echo "skipped: $1; the Swift package was not tested"; exit 0; }
[ "$(uname -s)" = Linux ] && command -v dpkg >/dev/null && command -v apt-get >/dev/null ||
    skip "this is not Debian"
[ "$(id -u)" = 0 ] && unshare --mount true || skip "chroot and mount need root"

# Unpacks a Debian with Swift, from the mirror that this machine uses. $root is created by a rename,
# so it is always complete.
if [ ! -e "$root/usr" ]; then
    # The first Debian with Swift. A library that was built on an older Debian runs there.
    release=trixie
    mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Component: main' |
        head -n 1)
    keys=/usr/share/keyrings/debian-archive-keyring.gpg
    [ -n "$mirror" ] && [ -e "$keys" ] || skip "apt knows no Debian mirror"
    mkdir -p "$scratch"/apt/{lists,cache/archives}/partial
    echo "deb [signed-by=$keys] $mirror $release main" >"$scratch/apt/sources.list"
    : >"$scratch/apt/status"
    # The sandbox user is root, because apt's own user may not write to $scratch.
    apt=(apt-get -q -o "Dir::State=$scratch/apt" -o "Dir::State::status=$scratch/apt/status"
        -o "Dir::State::lists=$scratch/apt/lists" -o "Dir::Cache=$scratch/apt/cache"
        -o "Dir::Etc::sourcelist=$scratch/apt/sources.list" -o Dir::Etc::sourceparts=/dev/null
        -o APT::Sandbox::User=root)
    packages=(swiftlang swiftlang-dev base-files bash coreutils libc6-dev libstdc++-14-dev)
    "${apt[@]}" update && "${apt[@]}" install -y --download-only --no-install-recommends \
        "${packages[@]}" >"$scratch/apt/log" || {
        tail -n 5 "$scratch/apt/log" >&2
        skip "Debian $release's swiftlang is not available"
    }
    rm -rf "$root.part"
    mkdir -p "$root.part"
    # base-files first: it creates the folders, among them /bin and /lib.
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

# Runs a command in $root, in its own mount namespace, so that no mount survives this script.
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
        swift=/usr/libexec/swift
        exec chroot "$root" env -i HOME=/build PATH=$swift/bin:/usr/bin:/bin \
            LD_LIBRARY_PATH=/library:$swift/lib/swift/linux:$swift/lib/swift/host "$@"
    ' bash "$root" "$repository" "$target" "$@"
}
for package in ios ios/Sample/SampleCore; do
    # --allow-shlib-undefined: Swift 6.0's libswiftObservation.so lacks a function that it calls
    # only before it aborts.
    arguments=(--package-path "/trm/$package" --scratch-path "/build/$package" --disable-sandbox
        -Xlinker -L/library -Xlinker --allow-shlib-undefined)
    inside swift-build "${arguments[@]}" -Xswiftc -warnings-as-errors --build-tests
    # The timeout is necessary because many tests solve puzzles that would run for days if they did
    # not stop.
    inside timeout 900 swift-test "${arguments[@]}" --skip-build --disable-swift-testing "$@"
done
# SwiftUI exists only on Apple's systems, so this checks only the syntax of the app.
app=(ios/Sample/App/*.swift)
inside swiftc -frontend -parse "${app[@]/#//trm/}"

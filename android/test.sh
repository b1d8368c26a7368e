#!/usr/bin/env bash
# Compiles the Kotlin library and what of the sample is no view, and runs their tests on this machine's Java against the real library.
#   android/test.sh [PART OF A TEST'S NAME...]      as StoppingTests
# Needs a JDK, 17 or later, and npm, which it installs with apt where they are missing. npm brings the Kotlin compiler: 90 MB, once, into cargo's
# target folder.
set -euo pipefail
cd "$(dirname "$0")/.."
target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
kotlin=2.4.20
tools=$target/kotlin/$kotlin
built=$target/kotlin/built
skipped() { echo "skipped: $1; the Kotlin library was not tested"; exit 0; }

if ! command -v javac >/dev/null || ! command -v npm >/dev/null; then
    { apt-get update && apt-get install -y --no-install-recommends default-jdk-headless npm; } >&2 || skipped "no JDK or no npm"
fi
# The folder appears when it is complete.
if [ ! -e "$tools" ]; then
    rm -rf "$tools.part"
    mkdir -p "$tools.part"
    npm install --silent --no-audit --no-fund --ignore-scripts --prefix "$tools.part" "kotlin-compiler@$kotlin" ||
        skipped "npm's kotlin-compiler $kotlin cannot be had"
    mv -T "$tools.part" "$tools"
fi
lib=$tools/node_modules/kotlin-compiler/lib
cargo build -p trm-jni

library=$lib/kotlin-stdlib.jar:$lib/kotlinx-coroutines-core-jvm.jar
compile() { # OUTPUT CLASSPATH ARGUMENT...
    # As the Kotlin of gradle/libs.versions.toml reads it; without Java's second compiler, which takes longer than it saves.
    java -Xmx1g -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -cp "$lib/kotlin-compiler.jar:$lib/kotlin-script-runtime.jar:$lib/kotlin-reflect.jar:$library" \
        org.jetbrains.kotlin.cli.jvm.K2JVMCompiler -no-stdlib -no-reflect -Werror -language-version 2.2 -api-version 2.2 -jvm-target 17 \
        -d "$1" -cp "$2" "${@:3}"
}
rm -rf "$built"
mkdir -p "$built"
# Stand-ins for the classes of Android that Assets.kt uses.
javac -d "$built/stubs" android/trm/src/desktopTest/stubs/android/content/res/*.java
compile "$built/trm" "$library:$built/stubs" -Xexplicit-api=strict -module-name trm android/trm/src/main/kotlin
sample=android/sample/src/main/kotlin/dev/trm/sample
compile "$built/tests" "$library:$built/stubs:$built/trm:$lib/kotlin-test.jar" "-Xfriend-paths=$built/trm" android/{trm,sample}/src/desktopTest/kotlin \
    "$sample"/{Board,Thinker}.kt
# The views need Compose, which no registry at hand has: the compiler is to miss its names, and to find no mistake of syntax before.
{ compile "$built/views" "$library:$built/trm" "$sample" 2>&1 || true; } >"$built/views.log"
grep -q "error: unresolved reference 'androidx'" "$built/views.log" || { tail "$built/views.log" >&2; exit 1; }
if grep "error: syntax error" "$built/views.log"; then exit 1; fi

run() { # PART OF A TEST'S NAME...
    # A heap of one size, so that what grows in the process is not Java's.
    java -Xms128m -Xmx128m -XX:+AlwaysPreTouch -XX:+UseSerialGC -Xcheck:jni -ea "-Djava.library.path=$target/debug" \
        -cp "$library:$built/stubs:$built/trm:$built/tests:$lib/kotlin-test.jar" dev.trm.RunnerKt "$@" |& tee "$built/run.log"
    # What Java says of wrong uses of JNI is no failure to it.
    if grep -E "^(WARNING|FATAL)" "$built/run.log"; then exit 1; fi
}
# Without the GPUs of this machine, so that `auto` and its refusals are the same everywhere.
run_hidden() { (export VK_DRIVER_FILES=/dev/null VK_ICD_FILENAMES=/dev/null WGPU_BACKEND=vulkan; run "$@"); }
export NODEVICE_SELECT=1
case ${1-all} in
all)
    run_hidden {Solving,Stopping,Error,Concurrency,Asset,Sample}Tests
    run GpuTests
    ;;
Gpu*) run "$@" ;;
*) run_hidden "$@" ;;
esac

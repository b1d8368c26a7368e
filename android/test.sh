#!/usr/bin/env bash
# Compiles the Kotlin library and the sample app, except its Compose views, and runs their tests on
# this machine's JVM against the native library.
#   android/test.sh [PART OF A TEST'S NAME...]      example: StoppingTests
# Needs a JDK (17 or later) and npm. Installs them with apt if they are missing. npm downloads the
# Kotlin compiler (90 MB) once, into cargo's target folder.
set -euo pipefail
cd "$(dirname "$0")/.."
target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
kotlin=2.4.20
tools=$target/kotlin/$kotlin
built=$target/kotlin/built
skip() { echo "skipped: $1; the Kotlin library was not tested"; exit 0; }

if ! command -v javac >/dev/null || ! command -v npm >/dev/null; then
    { apt-get update &&
        apt-get install -y --no-install-recommends default-jdk-headless npm; } >&2 ||
        skip "no JDK or no npm"
fi
# $tools is created by a rename, so it is always complete.
if [ ! -e "$tools" ]; then
    rm -rf "$tools.part"
    mkdir -p "$tools.part"
    npm install --silent --no-audit --no-fund --ignore-scripts --prefix "$tools.part" \
        "kotlin-compiler@$kotlin" || skip "npm's kotlin-compiler $kotlin is not available"
    mv -T "$tools.part" "$tools"
fi
lib=$tools/node_modules/kotlin-compiler/lib
cargo build -p trm-jni

library=$lib/kotlin-stdlib.jar:$lib/kotlinx-coroutines-core-jvm.jar
compiler=$lib/kotlin-compiler.jar:$lib/kotlin-script-runtime.jar:$lib/kotlin-reflect.jar:$library
compile() { # OUTPUT CLASSPATH ARGUMENT...
    # The language version is that of gradle/libs.versions.toml. TieredStopAtLevel=1 turns off the
    # JVM's second compiler, which costs more time here than it saves.
    java -Xmx1g -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -cp "$compiler" \
        org.jetbrains.kotlin.cli.jvm.K2JVMCompiler -no-stdlib -no-reflect -Werror \
        -language-version 2.2 -api-version 2.2 -jvm-target 17 -d "$1" -cp "$2" "${@:3}"
}
rm -rf "$built"
mkdir -p "$built"
# Stubs of the Android classes that Assets.kt uses.
javac -d "$built/stubs" android/trm/src/desktopTest/stubs/android/content/res/*.java
main=android/trm/src/main/kotlin
compile "$built/trm" "$library:$built/stubs" -Xexplicit-api=strict -module-name trm "$main"
sample=android/sample/src/main/kotlin/dev/trm/sample
compile "$built/tests" "$library:$built/stubs:$built/trm:$lib/kotlin-test.jar" \
    "-Xfriend-paths=$built/trm" android/{trm,sample}/src/desktopTest/kotlin \
    "$sample"/{Board,SolveController}.kt
# Compose is not available here. The compiler must report that its names are missing, which it does
# only if the views have no syntax errors.
{ compile "$built/views" "$library:$built/trm" "$sample" 2>&1 || true; } >"$built/views.log"
grep -q "error: unresolved reference 'androidx'" "$built/views.log" ||
    { tail "$built/views.log" >&2; exit 1; }
if grep "error: syntax error" "$built/views.log"; then exit 1; fi

run() { # PART OF A TEST'S NAME...
    # A fixed heap size, so that memory growth of the process is not growth of Java's heap.
    java -Xms128m -Xmx128m -XX:+AlwaysPreTouch -XX:+UseSerialGC -Xcheck:jni -ea \
        "-Djava.library.path=$target/debug" \
        -cp "$library:$built/stubs:$built/trm:$built/tests:$lib/kotlin-test.jar" \
        dev.trm.RunnerKt "$@" |& tee "$built/run.log"
    # -Xcheck:jni reports wrong uses of JNI without failing.
    if grep -E "^(WARNING|FATAL)" "$built/run.log"; then exit 1; fi
}
# Hides the GPUs of this machine, so that `auto` and errors are the same everywhere.
run_hidden() {
    (
        export VK_DRIVER_FILES=/dev/null VK_ICD_FILENAMES=/dev/null WGPU_BACKEND=vulkan
        run "$@"
    )
}
export NODEVICE_SELECT=1
case ${1-all} in
all)
    run_hidden {Solving,Stopping,Error,Concurrency,Asset,Sample}Tests
    run GpuTests
    ;;
Gpu*) run "$@" ;;
*) run_hidden "$@" ;;
esac

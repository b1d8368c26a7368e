#!/usr/bin/env bash
# Tests a real window on a display in memory, with key presses and clicks.
# Types a puzzle, solves it, shows single steps, changes the device, and closes during a run.
# Measures the start, the frames and the memory. `window.sh [FOLDER]` writes screenshots to FOLDER.
# Needs Xvfb, xdotool, import of ImageMagick, and a graphics driver such as lavapipe.
set -euo pipefail
cd "$(dirname "$0")/../../.."
pictures=${1:-$(mktemp -d)}
mkdir -p "$pictures"
export NODEVICE_SELECT=1
# Tests the release build, unless TRM_DEMO names another program.
demo=${TRM_DEMO:-}
if [ -z "$demo" ]; then
    cargo build --release -q -p trm-demo
    demo=${CARGO_TARGET_DIR:-target}/release/trm-demo
fi

work=$(mktemp -d)
log=$work/log
export XDG_CONFIG_HOME=$work/config
# Xvfb chooses a free display, and writes its number to the file once it is ready.
Xvfb -displayfd 3 -screen 0 1400x900x24 -nolisten tcp 3>"$work/display" >"$work/xvfb" 2>&1 &
xvfb=$!
for _ in $(seq 100); do
    [ -s "$work/display" ] && break
    sleep 0.1
done
display=:$(cat "$work/display")
demo_pid=
cleanup() {
    [ -z "$demo_pid" ] || kill "$demo_pid" 2>/dev/null || true
    kill $xvfb 2>/dev/null || true
    rm -rf "$work"
}
trap cleanup EXIT
export DISPLAY=$display
unset WAYLAND_DISPLAY

fail() {
    echo "FAILED: $*" >&2
    tail -5 "$log" >&2
    exit 1
}

# Waits until the last status line of the program has all these words.
expect_status() {
    for _ in $(seq 300); do
        local all=1 line
        line=$(grep -v "frame" "$log" 2>/dev/null | tail -1 || true)
        for word in "$@"; do
            # A word is a pattern, so that it can ask for two of a kind.
            # shellcheck disable=SC2053
            [[ $line == *$word* ]] || all=
        done
        [ -z "$all" ] || return 0
        sleep 0.1
    done
    fail "not in the status: $*"
}

start() {
    : >"$log"
    "$demo" --verbose "$@" 2>"$log" &
    demo_pid=$!
    for _ in $(seq 100); do
        window=$(xdotool search --onlyvisible --pid $demo_pid 2>/dev/null | tail -1 || true)
        [ -n "$window" ] && break
        kill -0 $demo_pid 2>/dev/null || fail "the program has ended"
        sleep 0.1
    done
    # Without a window manager the window does not get the keyboard focus by itself.
    xdotool windowfocus --sync "$window" mousemove --window "$window" 700 20
    for _ in $(seq 100); do
        grep -q "first frame" "$log" && break
        sleep 0.1
    done
    sleep 0.3
}

# Closes the window with the keyboard, because there is no window manager with a close button.
close() {
    xdotool key ctrl+q
    local code=0
    for _ in $(seq 100); do
        kill -0 $demo_pid 2>/dev/null || break
        sleep 0.1
    done
    ! kill -0 $demo_pid 2>/dev/null || fail "the window does not close"
    wait $demo_pid || code=$?
    demo_pid=
    [ $code -eq 0 ] || fail "closing: exit code $code"
}

shot() { import -window root "$pictures/$1.png"; }

press() {
    xdotool key --clearmodifiers --delay 40 "$@"
    sleep 0.3
}

echo "== a puzzle is typed into an empty board"
start --board 4 --device cpu --theme light
press x
# 0000 0204 4010 2103
press Down Right 2 Right Right 4 Down Left Left Left 4
press Right Right 1 Down Left Left 2 Right 1 Right Right 3
expect_status "Sudoku 4 x 4" "step 0 of 0"
shot typed
press space
expect_status "Halted" "right" "on cpu"
shot solved
echo "== single steps are shown"
press Home
expect_status "step 0 of"
press bracketright
expect_status "step 1 of"
shot step
echo "== another theme, another device"
press t
press d
sleep 2
press d
expect_status "step 0 of 0"
press space
expect_status "Halted" "right"
shot device
press v
press space
expect_status "Halted*right*Halted*right"
shot compared
rss=$(awk '/VmRSS/ {print int($2 / 1024)}' /proc/$demo_pid/status)
close
grep "first frame\|frames:" "$log"
echo "memory: $rss MB"

echo "== the window closes during a run and saves its settings"
start --board 9 --difficulty hard --seed 5 --device cpu
press k
expect_status "thinks"
sleep 1
shot thinking
close
grep "frames:" "$log"
[ -s "$XDG_CONFIG_HOME/trm-demo/settings.json" ] || fail "the settings are not saved"
start
expect_status "Sudoku 9 x 9" "on cpu"
close

echo "== invalid settings are ignored"
echo "{" >"$XDG_CONFIG_HOME/trm-demo/settings.json"
start
grep -q "is ignored" "$log" || fail "the note is missing"
shot note
close

echo "== the mouse draws a maze"
start --board maze --device cpu
press x
for row in 1 2 3; do
    xdotool mousemove --window "$window" $((200 + 20 * row)) $((250 + 60 * row)) mousedown 1
    xdotool mousemove --window "$window" $((500 + 20 * row)) $((250 + 60 * row)) mouseup 1
done
press space
expect_status "ed("
shot maze
close
echo "passed; screenshots in $pictures"

#!/usr/bin/env bash
# A real window on a display in memory, driven by key presses and clicks: types a puzzle, solves it, scrubs, changes the device, closes
# in the middle of a run; measures the start, the frames and the memory. `window.sh [FOLDER]` leaves its pictures in FOLDER.
# Needs Xvfb, xdotool, ImageMagick's import, and a driver that can draw (lavapipe will do).
set -euo pipefail
cd "$(dirname "$0")/../../.."
pictures=${1:-$(mktemp -d)}
mkdir -p "$pictures"
export NODEVICE_SELECT=1
# As one runs it, unless a program is given.
demo=${TRM_DEMO:-}
if [ -z "$demo" ]; then
    cargo build --release -q -p trm-demo
    demo=${CARGO_TARGET_DIR:-target}/release/trm-demo
fi

work=$(mktemp -d)
log=$work/log
export XDG_CONFIG_HOME=$work/config
# It picks a display that is free, and says which once it is there.
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

# Waits until the last line that the program has said of itself has all these words.
seen() {
    for _ in $(seq 300); do
        local all=1 line
        line=$(grep -v "frame" "$log" 2>/dev/null | tail -1 || true)
        for word in "$@"; do
            # A pattern, so that one word can ask for two of a kind.
            # shellcheck disable=SC2053
            [[ $line == *$word* ]] || all=
        done
        [ -z "$all" ] || return 0
        sleep 0.1
    done
    fail "not seen: $*"
}

start() {
    : >"$log"
    "$demo" --verbose "$@" 2>"$log" &
    demo_pid=$!
    for _ in $(seq 100); do
        window=$(xdotool search --onlyvisible --pid $demo_pid 2>/dev/null | tail -1 || true)
        [ -n "$window" ] && break
        kill -0 $demo_pid 2>/dev/null || fail "it has ended"
        sleep 0.1
    done
    # There is no window manager that would give it the keyboard.
    xdotool windowfocus --sync "$window" mousemove --window "$window" 700 20
    for _ in $(seq 100); do
        grep -q "first frame" "$log" && break
        sleep 0.1
    done
    sleep 0.3
}

# Asks the window to close and waits for a clean end; there is no window manager to draw a cross.
close() {
    xdotool key ctrl+q
    local code=0
    for _ in $(seq 100); do
        kill -0 $demo_pid 2>/dev/null || break
        sleep 0.1
    done
    ! kill -0 $demo_pid 2>/dev/null || fail "it does not close"
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
press Down Right 2 Right Right 4 Down Left Left Left 4 Right Right 1 Down Left Left 2 Right 1 Right Right 3
seen "Sudoku 4 x 4" "step 0 of 0"
shot typed
press space
seen "Halted" "right" "on cpu"
shot solved
echo "== scrubbed"
press Home
seen "step 0 of"
press bracketright
seen "step 1 of"
shot scrubbed
echo "== another theme, another device"
press t
press d
sleep 2
press d
seen "step 0 of 0"
press space
seen "Halted" "right"
shot device
press v
press space
seen "Halted*right*Halted*right"
shot compared
rss=$(awk '/VmRSS/ {print int($2 / 1024)}' /proc/$demo_pid/status)
close
grep "first frame\|frames:" "$log"
echo "memory with everything that was opened: $rss MB"

echo "== closed in the middle of a run, and what is remembered"
start --board 9 --difficulty hard --seed 5 --device cpu
press k
seen "thinks"
sleep 1
shot thinking
close
grep "frames:" "$log"
[ -s "$XDG_CONFIG_HOME/trm-demo/settings.json" ] || fail "no settings"
start
seen "Sudoku 9 x 9" "on cpu"
close

echo "== settings that are none"
echo "{" >"$XDG_CONFIG_HOME/trm-demo/settings.json"
start
grep -q "is ignored" "$log" || fail "no note"
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
seen "ed("
shot maze
close
echo "all is well; pictures in $pictures"

#!/usr/bin/env bash
# The terminal program in a real terminal (tmux, 80x24): walking, filtering, code, a swap, an injection, resizing,
# monochrome, a terminal too small, a guest that is killed under it.
set -eu
cd "$(dirname "$0")/../.."
delias=$PWD/build/bin/delias
work=$(mktemp -d)
export XDG_RUNTIME_DIR=$work
machine=tui$$
tmux="tmux -S $work/tmux -f /dev/null"
trap '$tmux kill-server 2> /dev/null || true; $delias stop $machine > /dev/null 2>&1 || true; rm -rf "$work"' EXIT

screen() { $tmux capture-pane -p -t t; }
fail() { echo "tui: $*"; screen || true; exit 1; }
keys() { for key in "$@"; do $tmux send-keys -t t "$key"; sleep 0.3; done; }
shows() { # PATTERN [SECONDS]
    local end=$((SECONDS + ${2:-15}))
    until screen | grep -qE "$1"; do
        [ $SECONDS -lt $end ] || fail "the screen does not show: $1"
        sleep 0.3
    done
}

$delias run configs/machines/default.yaml --name $machine --detach > "$work/run.log" || { cat "$work/run.log"; exit 1; }
$tmux new-session -d -s t -x 80 -y 24 "TERM=screen-256color $delias tui $machine 2> $work/err; echo status \$?; sleep 100"

shows 'cells.*rounds [0-9]+'
keys / ; $tmux send-keys -t t -l channel; sleep 0.5; keys Enter
shows 'channel +v1 +ker'
keys Down
shows 'channel: sections'
keys Enter 2
shows 'channel_send +application [0-9a-f]{16}'
keys 4
shows 'workload:'
keys 3
shows 'wait_queue:'
keys Enter
shows 'code|needed by'
keys Escape Escape Escape 6
shows 'RUNN|BLOCK|runn|block'
keys 7; shows 'faults'
keys 8; shows 'TIME CPU KIND'
keys 9; shows 'checksums_ok +[0-9]+'
echo 'ok: pages'

keys '?'; shows 'follow the row'; keys q; shows 'checksums_ok'
keys s; shows 'Swap in which object'; keys C-u
$tmux send-keys -t t -l build/cells/channel_v2.o; keys Enter
shows "delias swap $machine channel=build/cells/channel_v2.o"
keys n; shows 'nothing was changed'
keys s C-u; $tmux send-keys -t t -l build/cells/channel_v2.o; keys Enter y
shows 'done' 30
shows 'channel +v2 +ker'
echo 'ok: swap'

keys i; shows 'Flip one bit'; keys C-u
$tmux send-keys -t t -l cell:checksum:.rodata; keys Enter
shows "delias inject $machine --into cell:checksum:.rodata --model flip"
keys y; shows 'done' 30
echo 'ok: inject'

$tmux resize-window -t t -x 120 -y 40; sleep 1; shows 'checksums_ok'
$tmux resize-window -t t -x 60 -y 20; shows 'too small: needs 80x24'
$tmux resize-window -t t -x 80 -y 24; shows 'checksums_ok'
echo 'ok: resize'

kill -9 "$($delias ps --json | jq -r ".[] | select(.name == \"$machine\") | .pid")"
shows 'ended'
keys Escape q
shows 'status 0'
echo 'ok: guest killed'

status=0
$delias tui nosuch > "$work/out" 2>&1 < /dev/null || status=$?
[ $status -eq 3 ] || fail "an unknown machine gives status $status"
grep -q nosuch "$work/out" || fail 'the message does not name the machine'
echo 'ok: unknown machine'

#!/usr/bin/env bash
# The terminal program in a real terminal (tmux, 80x23): walking, searching, code, a swap and back, an injection and its
# incident, pauses, resizing, a terminal too small, a guest that is killed under it and started again; signals, which
# leave the terminal as it was.
set -eu
cd "$(dirname "$0")/../.."
. tests/lib.sh
delias=$PWD/build/bin/delias
work=$(mktemp -d)
export XDG_RUNTIME_DIR=$work
machine=tui$$
tmux="tmux -S $work/tmux -f /dev/null"
trap '$tmux kill-server 2> /dev/null || true; $delias stop $machine > /dev/null 2>&1 || true; rm -rf "$work"' EXIT

screen() { $tmux capture-pane -p -t t; }
fail() { echo "tui: $*"; screen || true; exit 1; }
keys() { type_keys "$@" || fail "keys are not read: $*"; }
has() { screen | grep -qE "$1"; }
shows() { wait_until has "$1" || fail "the screen does not show: $1"; } # PATTERN

$delias run configs/machines/default.yaml --name $machine --detach > "$work/run.log" || { cat "$work/run.log"; exit 1; }
$tmux new-session -d -s t -x 80 -y 23 \
    "TERM=screen-256color $delias tui $machine 2> $work/err; echo status \$?; sleep $guest_seconds"

shows 'cells.*rounds [0-9]+'
keys / ; $tmux send-keys -t t -l channel; keys Enter
shows 'channel +v1 +ker'
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
keys : ; $tmux send-keys -t t -l channel; keys Enter d; shows 'workload +x[0-9]+'; keys 9; shows 'checksums_ok'
echo 'ok: dependencies'

keys s; shows 'swap channel: objects that fit'; shows 'channel.o .* loaded now'
keys Down Enter; shows "delias swap $machine channel="; shows 'channel could be swapped'
keys n; shows 'nothing was changed'
keys s Down Enter; shows 'channel could be swapped'
keys Enter; shows 'other CPUs stood still for'; shows 'relocate +[0-9.]+ us'
keys Escape; shows 'channel +v2 +ker'
keys u; shows 'other CPUs stood still for'; keys Escape; shows 'channel +v1 +ker'
echo 'ok: swap'

keys i; shows 'Flip one bit'; keys C-u
$tmux send-keys -t t -l cell:checksum:.eh_frame; keys Enter
shows "delias inject $machine --into cell:checksum:.eh_frame --model flip"
keys y; shows 'done: delias inject'; keys Escape
shows 'incident [0-9]+ of [0-9]+: damage in checksum'; shows 'flip +checksum:.eh_frame'
shows 'put right before it was used'
keys Escape
echo 'ok: inject'

$tmux resize-window -t t -x 120 -y 40; shows '.{110}'; shows 'checksums_ok'
$tmux resize-window -t t -x 60 -y 20; shows 'too small: needs 80x20'
$tmux resize-window -t t -x 200 -y 60; shows '.{190}'; shows 'checksums_ok'
$tmux resize-window -t t -x 80 -y 23; shows 'checksums_ok'
echo 'ok: resize'

$delias pause $machine > /dev/null; shows "$machine +paused"
keys p; shows "$machine +running"
echo 'ok: pause'

# ---- signals
mode() { stty -F "$tty" -g; }
is_raw() { [ "$(mode)" != "$before" ]; }
is_as_before() { [ "$(mode)" = "$before" ]; }
of_screen() { $tmux display-message -p -t s '#{alternate_on} #{cursor_flag} #{mouse_any_flag} #{keypad_flag}'; }
takes_screen() { [ "$(of_screen | cut -c1)" = 1 ]; }
begin() { # VERB [COMMAND]: runs in a terminal, until that is raw
    rm -f "$work/before" "$work/pid" "$work/status"
    pid=
    $tmux new-session -d -s s -x 80 -y 24 "stty -g > $work/before; ${2:-sh -c 'echo \$\$ > $work/pid;
        TERM=screen-256color exec $delias $1 $machine'; echo \$? > $work/status; sleep $guest_seconds}"
    tty=$($tmux display-message -p -t s '#{pane_tty}')
    wait_until test -s "$work/pid" || fail "$1 does not begin"
    before=$(cat "$work/before") # tmux sets the modes in the new process: read from here they may not be set yet
    wait_until is_raw || fail "$1 does not make its terminal raw"
    [ "$1" != tui ] || wait_until takes_screen || fail "$1 does not take the screen"
    pid=$(cat "$work/pid")
}
ends() { # VERB SIGNAL
    kill "-$2" "$pid"
    wait_until test -s "$work/status" || fail "$1 does not end by SIG$2"
    [ "$(cat "$work/status")" -eq $((128 + $(kill -l "$2"))) ] || fail "$1: SIG$2: status $(cat "$work/status")"
    is_as_before || fail "$1: SIG$2 leaves the terminal: $(stty -F "$tty" -a)"
    [ "$(of_screen)" = '0 1 0 0' ] || fail "$1: SIG$2 leaves the screen: $(of_screen)"
    $tmux kill-session -t s
}
for verb in console tui; do
    for signal in TERM HUP INT QUIT USR1; do
        begin $verb
        ends $verb $signal
    done
done
# A job of a shell, since a stop signal is discarded where nobody could have the process continue.
cat > "$work/job" << END
set -m
sh -c 'echo \$\$ > $work/pid; exec $delias console $machine'
status=\$?
while kill -0 \$(cat $work/pid) 2> /dev/null; do
    until [ -e $work/continue ]; do sleep 0.1; done
    rm $work/continue
    fg > /dev/null
    status=\$?
done
echo \$status > $work/status
sleep $guest_seconds
END
begin console "bash $work/job"
for stop in TSTP STOP; do
    kill -$stop "$pid"
    [ $stop = STOP ] || wait_until is_as_before || fail 'a console that is stopped keeps the terminal'
    [ $stop = TSTP ] || stty -F "$tty" "$before" # as a shell does
    touch "$work/continue"
    wait_until is_raw || fail "a console that continues after SIG$stop has no raw terminal"
done
ends console TERM
echo 'ok: signals'

for type in dumb nosuch; do
    $tmux new-session -d -s n -x 80 -y 24 "TERM=$type $delias tui 2> $work/err; echo status \$? > $work/refused"
    wait_until test -s "$work/refused" || fail "on a terminal of type $type the TUI does not end"
    [ "$(cat "$work/refused")" = 'status 1' ] && grep -q 'terminal type in TERM' "$work/err" ||
        fail "a terminal of type $type is taken: $(cat "$work/refused" "$work/err")"
    rm "$work/refused"
done
echo 'ok: types of terminals'

kill -9 "$($delias ps --json | jq -r ".[] | select(.name == \"$machine\") | .pid")"
shows "$machine +ended"
$delias run configs/machines/default.yaml --name $machine --detach > "$work/run.log" || { cat "$work/run.log"; exit 1; }
shows "$machine +running"
kill -9 "$($delias ps --json | jq -r ".[] | select(.name == \"$machine\") | .pid")"
shows "$machine +ended"
keys Escape q
shows 'status 0'
echo 'ok: guest killed'

status=0
$delias tui nosuch > "$work/out" 2>&1 < /dev/null || status=$?
[ $status -eq 3 ] || fail "an unknown machine gives status $status"
grep -q nosuch "$work/out" || fail 'the message does not name the machine'
echo 'ok: unknown machine'

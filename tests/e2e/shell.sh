#!/usr/bin/env bash
# The shell on the serial line: every command answers, lines can be edited, cells can be swapped, and a panic of its own
# task is survived; on the screen: keys are taken and what they ask for shows. No host program is used.
set -eu
cd "$(dirname "$0")/../.."
. tests/lib.sh
work=$(mktemp -d)
pid=
trap '[ -z "$pid" ] || kill "$pid" 2> /dev/null; rm -rf "$work"' EXIT
log=$work/serial

fail() { echo "shell: $*"; tail -n 60 "$log"; exit 1; }

timeout $guest_seconds qemu-system-x86_64 -accel tcg -cpu max -smp 2 -m 128M -kernel build/delias.elf \
    -initrd build/cells.archive -append "app=shell,workload" -display none -no-reboot \
    -chardev "socket,id=c,path=$work/line,server=on,wait=on" -serial chardev:c \
    -qmp "unix:$work/qmp,server=on,wait=off" &
pid=$!

# The line carries one session for the whole test, from the first character on; `say` sends to it. (QEMU's own log of it
# repeats what a busy host takes in two steps.)
wait_until test -S "$work/line"
mkfifo "$work/in"
socat - "UNIX-CONNECT:$work/line" < "$work/in" > "$log" &
exec 3> "$work/in"

said() { tail -c "+$((mark + 1))" "$log" 2> /dev/null | tr -d '\r' | grep -aqE "$1"; } # PATTERN, after the last `say`
mark=0
say() { mark=$(stat -c %s "$log"); printf '%b' "$1\r" >&3; }
expect() { # LINE PATTERN...: each pattern shows in the answer
    local line=$1
    shift
    say "$line"
    for pattern in "$@"; do
        wait_until said "$pattern" || fail "'$line': no '$pattern' in the answer"
    done
    wait_until said '^delias> (\[|$)' || fail "'$line': no prompt after it"
    echo "ok: $line"
}

wait_until said 'delias> ' || fail 'no prompt'
expect help 'poweroff'
expect cells '^loader ' '^channel +1 kernel' '^workload '
expect 'cell channel' 'exports channel_send' '\.text\.channel_send'
expect 'deps channel' 'wait_queue_wait of wait_queue' '\.text\.channel_send +<- .*of workload'
expect tasks 'conductor' 'shell_screen'
expect faults '^0 faults'
expect counters '^ +rounds +[0-9]' '^ +checksums_bad +0'
expect free 'frames: [0-9]+ free of'
expect 'log 3' 'started'
expect 'mkdir /d'
expect 'write /d/a hello there'
expect 'ls /d' '12 a'
expect 'cat /d/a' '^hello there'
expect 'write /d/a again'
expect 'ls /d' '18 a'
expect 'cat /d/a' '^hello there' '^again'
expect 'rm /d' 'busy'
expect 'rm /d/a'
expect 'rm /d'
expect 'cat /d/a' 'no such thing'
expect 'nonsense' 'no such command'
expect 'cell' 'usage: cell NAME'
expect 'frex\010\010ee' 'frames:'
expect 'xyz\025free' 'frames:'
expect '\033[A' 'frames:'
# More at once than an interrupt takes. Some of it may be lost, but not what comes once it was taken.
say "$(printf 'x%.0s' $(seq 3000))"
prompts_again() { printf '\r' >&3 && sleep 0.3 && said '^delias> $'; }
wait_until prompts_again || fail 'no prompt after a flood'
expect free 'frames:'
expect 'swap channel channel_v2' 'channel swapped'
expect cells '^channel +2 kernel'
expect 'swap channel' 'channel swapped'
expect 'swap channel channel' 'channel swapped'
expect 'swap channel nothing' 'no member nothing'
expect 'swap nothing' 'nothing: no such thing'
expect 'swap channel heap' 'channel: '
expect 'spawn nothing' 'nothing: no such thing'
say 'spawn workload rounds=2'
wait_until said 'workload: 2 rounds, 2 ok, 0 bad' || fail 'no end of the workload that was spawned'
expect panic 'asked for in the shell'
expect faults 'asked for in the shell in shell:' '1 faults'
expect tasks ' shell +running +[0-9]+ +1 '
expect counters '^ +checksums_bad +0'

# Screen and keyboard: the text memory of the VGA shows what was typed and the answer.
qemu_press "$work/qmp" f r e x backspace e ret
answered() { qemu_screen "$work/qmp" > "$work/screen" && grep -q 'frames: ' "$work/screen"; }
wait_until answered || true
grep -q 'free' "$work/screen" && grep -q '^frames: [0-9]* free of' "$work/screen" ||
    { cat "$work/screen"; fail 'the screen does not show what was typed'; }
echo 'ok: keyboard and screen'

say poweroff
ended() { ! kill -0 "$pid" 2> /dev/null; }
wait_until ended || fail 'poweroff: the machine still runs'
pid=
echo 'ok: poweroff'

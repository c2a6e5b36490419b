#!/usr/bin/env bash
# The shell on the serial line: every command answers, lines can be edited, cells can be swapped, and a panic of its own
# task is survived; on the screen: keys are taken and what they ask for shows. No host program is used.
set -eu
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
pid=
trap '[ -z "$pid" ] || kill "$pid" 2> /dev/null; rm -rf "$work"' EXIT
log=$work/serial

fail() { echo "shell: $*"; tail -n 60 "$log"; exit 1; }

timeout 400 qemu-system-x86_64 -accel tcg,thread=multi -cpu max -smp 2 -m 128M -kernel build/delias.elf \
    -initrd build/cells.archive -append "app=shell,workload" -display none -no-reboot \
    -chardev "socket,id=c,path=$work/line,server=on,wait=off,logfile=$log" -serial chardev:c \
    -qmp "unix:$work/qmp,server=on,wait=off" &
pid=$!

# The line carries one session for the whole test; `say` sends to it.
for _ in $(seq 100); do [ -S "$work/line" ] && break; sleep 0.2; done
mkfifo "$work/in"
socat - "UNIX-CONNECT:$work/line" < "$work/in" > /dev/null & # reads too: a full line would stop the guest
exec 3> "$work/in"

wait_for() { # PATTERN SECONDS: in what came after the last `say`
    local end=$((SECONDS + $2))
    until tail -c "+$((mark + 1))" "$log" 2> /dev/null | tr -d '\r' | grep -aqE "$1"; do
        [ $SECONDS -lt $end ] || return 1
        sleep 0.2
    done
}
mark=0
say() { mark=$(stat -c %s "$log"); printf '%b' "$1\r" >&3; }
expect() { # LINE PATTERN...: each pattern shows in the answer
    local line=$1
    shift
    say "$line"
    for pattern in "$@"; do
        wait_for "$pattern" 60 || fail "'$line': no '$pattern' in the answer"
    done
    wait_for '^delias> (\[|$)' 60 || fail "'$line': no prompt after it"
    echo "ok: $line"
}

wait_for 'delias> ' 100 || fail 'no prompt'
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
expect 'rm /d' 'busy'
expect 'rm /d/a'
expect 'rm /d'
expect 'cat /d/a' 'no such thing'
expect 'nonsense' 'no such command'
expect 'cell' 'usage: cell NAME'
expect 'frex\010\010ee' 'frames:'
expect 'xyz\025free' 'frames:'
expect '\033[A' 'frames:'
# More at once than an interrupt takes. Some of it may be lost, but not what comes after it.
say "$(printf 'x%.0s' $(seq 3000))"
sleep 3
expect '\rfree' 'frames:'
expect 'swap channel channel_v2' 'channel swapped'
expect cells '^channel +2 kernel'
expect 'swap channel' 'channel swapped'
expect 'swap channel channel' 'channel swapped'
expect 'swap channel nothing' 'no member nothing'
expect 'swap nothing' 'nothing: no such thing'
expect 'swap channel heap' 'channel: '
expect 'spawn nothing' 'nothing: no such thing'
say 'spawn workload rounds=2'
wait_for 'workload: 2 rounds, 2 ok, 0 bad' 100 || fail 'no end of the workload that was spawned'
expect panic 'asked for in the shell'
expect faults 'asked for in the shell in shell:' '1 faults'
expect tasks ' shell +running +[0-9]+ +1 '
expect counters '^ +checksums_bad +0'

# Screen and keyboard: the text memory of the VGA shows what was typed and the answer.
qmp() { { echo '{"execute":"qmp_capabilities"}'; cat; sleep 1; } | socat - "UNIX-CONNECT:$work/qmp" > /dev/null; }
screen() {
    echo "{\"execute\":\"pmemsave\",\"arguments\":{\"val\":753664,\"size\":4000,\"filename\":\"$work/text\"}}" | qmp
    perl -e 'local $/; $_ = <STDIN>; s/(.)./$1/gs; print join "\n", unpack "(A80)*"' < "$work/text"
}
press() { # KEY...
    for key in "$@"; do
        printf '{"execute":"send-key","arguments":{"keys":[{"type":"qcode","data":"%s"}]}}\n' "$key"
        sleep 0.3
    done | qmp
}
press f r e x backspace e ret
for _ in $(seq 30); do screen > "$work/screen"; grep -q 'frames: ' "$work/screen" && break; sleep 1; done
grep -q 'free' "$work/screen" && grep -q '^frames: [0-9]* free of' "$work/screen" ||
    { cat "$work/screen"; fail 'the screen does not show what was typed'; }
echo 'ok: keyboard and screen'

say poweroff
for _ in $(seq 50); do kill -0 "$pid" 2> /dev/null || break; sleep 0.2; done
! kill -0 "$pid" 2> /dev/null || fail 'poweroff: the machine still runs'
pid=
echo 'ok: poweroff'

#!/usr/bin/env bash
# The ISO boots to a working shell on serial under SeaBIOS (pc and q35), under OVMF, and under bochs; on the screen and
# with a keyboard under SeaBIOS. A machine passes by what it printed.
set -eu
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
pids=
trap 'kill $pids 2> /dev/null; rm -rf "$work"' EXIT
make --no-print-directory build/delias.iso > "$work/make.log" 2>&1 || { cat "$work/make.log"; exit 1; }

fail() { echo "iso: $*"; tail -n 30 "$work"/*.serial; exit 1; }

wait_for() { # FILE PATTERN SECONDS
    local end=$((SECONDS + $3))
    until grep -aqE "$2" "$1" 2> /dev/null; do
        [ $SECONDS -lt $end ] || return 1
        sleep 0.5
    done
}

talk() { # NAME: the shell on a UNIX socket answers commands
    local name=$1 log=$work/$1.serial
    wait_for "$log" 'delias> ' 150 || fail "$name: no shell prompt on serial"
    { sleep 1; for line in help cells tasks faults 'deps channel' 'swap channel'; do printf '%s\r' "$line"; sleep 2; done; } |
        socat - "UNIX-CONNECT:$work/$name.sock" > /dev/null
    wait_for "$log" 'channel swapped' 60 || fail "$name: the shell does not answer"
    for word in loader scheduler channel_send workload; do
        grep -aq "$word" "$log" || fail "$name: no '$word' in what the shell says"
    done
    echo "ok: $name: shell on serial"
}

boot_qemu() { # NAME ARGUMENTS...
    local name=$1
    shift
    timeout 300 qemu-system-x86_64 -accel tcg -cpu max -m 256M -smp 2 -display none -no-reboot -cdrom build/delias.iso \
        -chardev "socket,id=c,path=$work/$name.sock,server=on,wait=off,logfile=$work/$name.serial" -serial chardev:c \
        -qmp "unix:$work/$name.qmp,server=on,wait=off" "$@" &
    pids="$pids $!"
}

qmp() { # NAME: what is on standard input
    { echo '{"execute":"qmp_capabilities"}'; cat; sleep 1; } | socat - "UNIX-CONNECT:$work/$1.qmp" > /dev/null
}
type_on_keyboard() { # NAME KEY...
    local name=$1
    shift
    for key in "$@"; do
        printf '{"execute":"send-key","arguments":{"keys":[{"type":"qcode","data":"%s"}]}}\n' "$key"
        sleep 0.2
    done | qmp "$name"
}
screen() { # NAME: the characters in text memory, without their attributes
    echo "{\"execute\":\"pmemsave\",\"arguments\":{\"val\":753664,\"size\":4000,\"filename\":\"$work/$1.text\"}}" | qmp "$1"
    perl -e 'local $/; $_ = <STDIN>; s/(.)./$1/gs; print join "\n", unpack "(A80)*"' < "$work/$1.text"
}

boot_qemu pc -machine pc
talk pc
type_on_keyboard pc f r e e ret
for _ in $(seq 30); do screen pc > "$work/screen" || true; ! grep -q '^frames: [0-9]* free of' "$work/screen" || break; sleep 1; done
grep -q '^frames: [0-9]* free of' "$work/screen" || { cat "$work/screen"; fail 'pc: what is typed is not answered on the screen'; }
echo 'ok: pc: keyboard and screen'
kill $pids; pids=

boot_qemu q35 -machine q35
talk q35
kill $pids; pids=

cp /usr/share/OVMF/OVMF_VARS_4M.fd "$work/vars.fd"
boot_qemu ovmf -machine q35 -drive if=pflash,format=raw,readonly=on,file=/usr/share/OVMF/OVMF_CODE_4M.fd \
    -drive if=pflash,format=raw,file="$work/vars.fd"
talk ovmf
kill $pids; pids=

cat > "$work/bochsrc" << END
display_library: rfb, options="timeout=0"
romimage: file=/usr/share/bochs/BIOS-bochs-latest
vgaromimage: file=/usr/share/bochs/VGABIOS-lgpl-latest
cpu: model=corei7_sandy_bridge_2600k, count=1, ips=50000000
megs: 128
ata0-master: type=cdrom, path=build/delias.iso, status=inserted
boot: cdrom
com1: enabled=1, mode=file, dev=$work/bochs.serial
clock: sync=none
log: $work/bochs.log
END
echo c > "$work/bochs.rc"
timeout 240 bochs -q -f "$work/bochsrc" -rc "$work/bochs.rc" > "$work/bochs.out" 2>&1 < /dev/null &
pids=$!
wait_for "$work/bochs.serial" 'delias> ' 220 || { tail -n 20 "$work/bochs.log"; fail 'bochs: no shell prompt on serial'; }
echo 'ok: bochs: shell prompt'

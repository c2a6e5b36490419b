#!/usr/bin/env bash
# The ISO boots to a working shell on serial under SeaBIOS (pc and q35), under OVMF, and under bochs; on the screen and
# with a keyboard under SeaBIOS. A machine is judged by what it printed.
set -eu
cd "$(dirname "$0")/../.."
. tests/lib.sh
work=$(mktemp -d)
pids=
trap 'kill $pids 2> /dev/null; rm -rf "$work"' EXIT
make --no-print-directory build/delias.iso > "$work/make.log" 2>&1 || { cat "$work/make.log"; exit 1; }

fail() { echo "iso: $*"; tail -n 30 "$work"/*.serial; exit 1; }

said() { grep -aqE "$2" "$1" 2> /dev/null; } # FILE PATTERN
prompts() { [ "$(grep -ao 'delias> ' "$1" 2> /dev/null | wc -l)" -ge "$2" ]; } # FILE AT_LEAST

# The line carries one session from the first character on. (QEMU's own log of it repeats what a busy host takes in two
# steps.)
talk() { # NAME: the shell on a UNIX socket answers commands
    local name=$1 log=$work/$1.serial n=0
    wait_until test -S "$work/$name.sock" || fail "$name: QEMU does not start"
    for line in help cells tasks faults 'deps channel' 'swap channel'; do
        n=$((n + 1))
        wait_until prompts "$log" $n || break
        printf '%s\r' "$line"
        [ "$line" != 'swap channel' ] || wait_until said "$log" 'channel swapped' || true
    done | socat - "UNIX-CONNECT:$work/$name.sock" > "$log"
    said "$log" 'delias> ' || fail "$name: no shell prompt on serial"
    said "$log" 'channel swapped' || fail "$name: the shell does not answer"
    for word in loader scheduler channel_send workload; do
        said "$log" "$word" || fail "$name: no '$word' in what the shell says"
    done
    echo "ok: $name: shell on serial"
}

boot_qemu() { # NAME ARGUMENTS...
    local name=$1
    shift
    timeout $guest_seconds qemu-system-x86_64 -accel tcg -cpu max -m 256M -smp 2 -display none -no-reboot \
        -cdrom build/delias.iso -chardev "socket,id=c,path=$work/$name.sock,server=on,wait=on" -serial chardev:c \
        -qmp "unix:$work/$name.qmp,server=on,wait=off" "$@" &
    pids="$pids $!"
}

boot_qemu pc -machine pc
talk pc
qemu_press "$work/pc.qmp" f r e e ret
answered() { qemu_screen "$work/pc.qmp" > "$work/screen" && grep -q '^frames: [0-9]* free of' "$work/screen"; }
wait_until answered || true
grep -q '^frames: [0-9]* free of' "$work/screen" ||
    { cat "$work/screen"; fail 'pc: what is typed is not answered on the screen'; }
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
timeout $guest_seconds bochs -q -f "$work/bochsrc" -rc "$work/bochs.rc" > "$work/bochs.out" 2>&1 < /dev/null &
pids=$!
wait_until said "$work/bochs.serial" 'delias> ' ||
    { tail -n 20 "$work/bochs.log"; fail 'bochs: no shell prompt on serial'; }
echo 'ok: bochs: shell prompt'

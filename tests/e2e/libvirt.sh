#!/usr/bin/env bash
# Machines that libvirt runs, with daemons of the test's own: `delias run --connect`, `delias attach`, what virsh does
# to both, and what is refused in which words.
set -u
cd "$(dirname "$0")/../.." || exit
. tests/lib.sh
name=libvirt
work=$(mktemp -d)
chmod 711 "$work"
home=$work/u # short: it is part of the paths of sockets
mkdir -p "$home"/{bin,run,config,cache,data}
cp build/bin/delias "$home/bin"
cp build/delias.elf build/cells.archive build/cells/channel_v2.o "$home"
chmod 700 "$home/run"

# libvirt keeps a session for other users than root only: root runs all of this as nobody, who may not see $work/..
user() { env "${env[@]}" "$@"; }
env=(HOME="$home" XDG_RUNTIME_DIR="$home/run" XDG_CONFIG_HOME="$home/config" XDG_CACHE_HOME="$home/cache"
    XDG_DATA_HOME="$home/data" LIBVIRT_AUTOSTART=0)
if [ "$(id -u)" -eq 0 ]; then
    chown -R nobody:nogroup "$home"
    user() { env "${env[@]}" setpriv --reuid nobody --regid nogroup --clear-groups "$@"; }
fi
delias=$home/bin/delias uri=qemu:///session
virsh() { user timeout $wait_seconds virsh -q -c $uri "$@"; }
user "$delias" --version > /dev/null 2>&1 || { echo "libvirt: $home can't be used by nobody: set TMPDIR"; exit 1; }

end_daemon() { # NAME
    local pid
    pid=$(cat "$home/$1.pid" 2> /dev/null) && kill "$pid" && wait_until has_ended "$pid"
}
has_ended() { ! kill -0 "$1" 2> /dev/null; }
clean() {
    for machine in one other plain taken; do
        user timeout $wait_seconds "$delias" stop $machine > /dev/null 2>&1
        virsh destroy $machine > /dev/null 2>&1
    done
    end_daemon libvirtd
    end_daemon virtlogd
    rm -rf "$work"
}
trap clean EXIT

fail() {
    echo "libvirt: $*"
    tail -n 20 "$work/out" "$work/err" "$home"/run/delias/*/serial.log 2> /dev/null
    exit 1
}
must() { # STATUS ARGUMENT...
    local want=$1 got
    shift
    user timeout $wait_seconds "$delias" "$@" > "$work/out" 2> "$work/err" < /dev/null
    got=$?
    [ $got -eq "$want" ] || fail "status $got, not $want: delias $*"
}
refused() { # STATUS WORDS ARGUMENT...
    local status=$1 words=$2
    shift 2
    must "$status" "$@"
    [ "$(wc -l < "$work/err")" -eq 1 ] || fail "not one line: $*"
    grep -q -- "$words" "$work/err" || fail "not '$words': $*"
}
has() { grep -q -- "$1" "$work/out" "$work/err" || fail "no '$1' was printed"; }
of() { user "$delias" ps --json | jq -r --arg n "$1" ".[] | select(.name == \$n) | .$2"; }
is() { [ "$(of "$1" state)" = "$2" ]; }
domain_is() { [ "$(virsh domstate "$1" 2> /dev/null)" = "$2" ]; }
rounds() { user "$delias" counters "$1" --json | jq .rounds; }
reached() { [ "$(rounds "$1" 2> /dev/null || echo 0)" -ge "$2" ] 2> /dev/null; }

# ---- nobody there ----

refused 1 "$uri: libvirt: .*connect" run --connect $uri --name one --detach
refused 1 'no:///where: libvirt:' run --connect no:///where --name one --detach
refused 1 'test:///default.* has no machines for this guest' run --connect test:///default --name one --detach
must 2 run --connect '' --name one --detach
must 2 attach one
refused 1 "$uri: libvirt: .*connect" attach one --connect $uri
[ -z "$(user "$delias" ps --json | jq -r '.[]')" ] || fail 'a refused start left something'
echo 'ok: what is not there is said'

start_daemon() { user "$1" --daemon --pid-file "$home/$1.pid" || fail "$1 does not start"; }
start_daemon virtlogd
start_daemon libvirtd
wait_until virsh list > /dev/null 2>&1 || fail 'libvirtd does not answer'

# ---- run ----

must 0 run --connect $uri --accel tcg --name one --detach
is one running || fail 'it does not run'
[ "$(of one backend)" = libvirt ] || fail 'the backend is not named'
domain_is one running || fail 'libvirt does not have it'
virsh dumpxml one > "$work/xml"
grep -q "mode='shared'" "$work/xml" || fail 'its memory is not shared'
refused 1 'runs already' run --connect $uri --name one --detach
must 0 cells one
has channel
must 0 swap one channel="$home/channel_v2.o" --timeout $wait_seconds
must 0 verify one
must 0 inject one --into symbol:channel_send+0+2 --model trap
must 0 ping one --timeout $wait_seconds
must 0 doctor
has 'machine one'
refused 1 'libvirt has its state' snapshot one now
refused 1 'at most 2G' run --connect $uri --name big --ram 3G --detach
echo 'ok: run, cells, swap, verify, inject'

must 0 pause one
domain_is one paused || fail 'libvirt does not know that it is paused'
must 0 pause one
must 0 resume one
domain_is one running || fail 'libvirt does not know that it goes on'
virsh suspend one
wait_until is one paused || fail 'virsh has paused it, and ps does not say so'
must 0 reset one
is one paused || fail 'a reset let it go'
virsh resume one
wait_until is one running || fail 'virsh has resumed it, and ps does not say so'
starts() { [ "$(grep -c 'first cell loaded' "$home/run/delias/one/serial.log")" -ge "$1" ]; }
wait_until starts 2 || fail 'nothing started after the reset'
virsh reset one
wait_until starts 3 || fail 'nothing started after the reset by virsh'
{ printf 'help\r'; wait_until grep -qs tasks "$work/console"; } |
    user timeout $wait_seconds "$delias" console one > "$work/console" 2>&1
grep -q tasks "$work/console" || fail 'the console does not carry both ways'
echo 'ok: pause, resume, reset, console, by delias and by virsh'

# What another program ends, delias notices: who looks on, and who lists.
user "$delias" events one --follow > "$work/follow" 2>&1 &
follower=$!
first=$(of one pid)
virsh destroy one
wait_until is one dead || fail 'virsh has ended it, and ps does not say so'
wait $follower || fail 'who follows it does not end well'
refused 3 'one' pause one
virsh start one
wait_until is one running || fail 'virsh has started it again, and ps does not say so'
[ "$(of one pid)" != "$first" ] || fail 'it is the same process'
wait_until reached one 1 || fail 'it does no work when started again'
must 0 inject one --into symbol:channel_send+0+2 --model trap
virsh qemu-monitor-command one '{"execute":"quit"}' > /dev/null 2>&1
wait_until is one dead || fail 'its QEMU has ended, and ps does not say so'
must 0 run --connect $uri --accel tcg --name one --detach
must 0 stop one
virsh domstate one > /dev/null 2>&1 && fail 'a domain is left'
[ -z "$(of one name)" ] || fail 'something is left in the run directory'
echo 'ok: ends, and what was started again'

# ---- attach ----

domain() { # NAME MEMORY_BACKING: a domain that knows nothing of delias
    cat > "$home/$1.xml" << XML
<domain type='qemu'><name>$1</name><memory unit='MiB'>64</memory><vcpu>2</vcpu>$2
<os><type arch='x86_64' machine='q35'>hvm</type><kernel>$home/delias.elf</kernel>
<initrd>$home/cells.archive</initrd></os>
<features><acpi/><apic/></features><cpu mode='maximum'/>
<devices><serial type='pty'/></devices></domain>
XML
    virsh define "$home/$1.xml" > /dev/null && virsh start "$1" > /dev/null || fail "virsh does not start $1"
}
refused 3 "has no domain 'other'" attach other --connect $uri
domain other "<memoryBacking><source type='memfd'/><access mode='shared'/></memoryBacking>"
refused 1 "has a domain 'other' already" run --connect $uri --name other --detach
must 0 attach other --connect $uri
refused 1 'runs already' attach other --connect $uri
wait_until reached other 1 || fail 'it does no work'
must 0 swap other channel="$home/channel_v2.o" --timeout $wait_seconds
must 0 verify other
must 0 inject other --into symbol:channel_send+0+2 --model trap
must 0 ping other --timeout $wait_seconds
must 0 pause other
domain_is other paused || fail 'libvirt does not know that it is paused'
must 0 resume other
must 0 detach other
domain_is other running || fail 'detaching harmed it'
[ -z "$(of other name)" ] || fail 'it is still attached'
must 0 attach other --connect $uri --name taken
must 0 cells taken
must 0 stop taken
domain_is other 'shut off' || fail 'stop ends it'
refused 1 'does not run' attach other --connect $uri
virsh undefine other
echo 'ok: attach, detach'

domain plain ''
must 0 attach plain --connect $uri
has slow
wait_until reached plain 1 || fail 'its memory is not read'
must 0 cells plain
has channel
must 0 verify plain
domain_is plain running || fail 'reading left it paused'
refused 1 'can be read only.*no shared memory' swap plain channel="$home/channel_v2.o"
must 0 stop plain
virsh undefine plain
echo 'ok: without shared memory'

must 0 run --connect $uri --accel tcg --name one --detach
end_daemon libvirtd
refused 1 "$uri: libvirt: .*connect" stop one
must 0 cells one
start_daemon libvirtd
wait_until virsh list > /dev/null 2>&1 || fail 'libvirtd does not answer again'
must 0 stop one
[ -z "$(virsh list --all --name)" ] || fail 'a domain is left'
echo 'all passed'

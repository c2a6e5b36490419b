#!/usr/bin/env bash
# Every verb in every form on a running guest, by programs that a sanitizer watches, and every option at least once; an
# application gets the arguments that were written, from the host as from the guest's shell.
set -u
cd "$(dirname "$0")/../.."
. tests/lib.sh
host_begin verbs
delias=$PWD/build/asan/bin/delias cell=$PWD/build/asan/bin/cell
printf 'leak:libtinfo\nleak:libncurses\n' > "$work/known" # curses keeps its terminal to the end
export ASAN_OPTIONS=exitcode=99 UBSAN_OPTIONS=print_stacktrace=1
export LSAN_OPTIONS=suppressions=$work/known:print_suppressions=0
other=$machine-other one=$machine-one
trap 'for m in $machine $other $one; do timeout $wait_seconds build/bin/delias stop $m > /dev/null 2>&1; done
    rm -rf "$work"' EXIT

watched() { # COMMAND: nothing was wrong with it
    ! grep -qE 'Sanitizer|runtime error' "$work/out" "$work/err" || { cat "$work/err"; fail "$*"; }
}
try() { # STATUSES ARGUMENT...: delias ends with one of them
    local want=$1 got=0
    shift
    echo "$*" >> "$work/used"
    timeout $wait_seconds "$delias" "$@" > "$work/out" 2> "$work/err" < /dev/null || got=$?
    watched "delias $*"
    [[ " $want " == *" $got "* ]] || fail "status $got, not $want: delias $*"
}
following=()
follow() { # ARGUMENT...: `followed` runs it
    following+=("$* --follow")
}
all_print() { # there are no faults yet
    local i
    for i in "${!following[@]}"; do [[ ${following[i]} = faults* || -s $work/follow.out.$i ]] || return 1; done
}
followed() { # all of them at once, for a while
    local i running=()
    for i in "${!following[@]}"; do
        echo "${following[i]}" >> "$work/used"
        # shellcheck disable=SC2086
        timeout $wait_seconds "$delias" ${following[i]} > "$work/follow.out.$i" 2> "$work/follow.err.$i" < /dev/null &
        running+=($!)
    done
    wait_until all_print || fail "with --follow: nothing from $(find "$work" -name 'follow.out.*' -empty)"
    sleep 1
    kill "${running[@]}"
    wait "${running[@]}"
    cat "$work"/follow.out.* > "$work/out"
    cat "$work"/follow.err.* > "$work/err"
    watched 'with --follow'
    rm -f "$work"/follow.*
    following=()
}
try_cell() { # ARGUMENT...
    timeout $wait_seconds "$cell" "$@" > "$work/out" 2> "$work/err" < /dev/null || fail "cell $*: status $?"
    watched "cell $*"
}

log=$XDG_RUNTIME_DIR/delias/$machine/serial.log
echoes() { grep -ao $'echo_args [0-9]*:.*\r' "$log" | tr -d '\r'; } # whole lines
echoed() { [ "$(echoes | wc -l)" -gt "$1" ]; }
gets() { # LINE COMMAND...: the application says so
    local line=$1 before
    shift
    before=$(echoes | wc -l)
    "$@" || exit 1
    wait_until echoed "$before" || fail "$*: the application does not run"
    [ "$(echoes | tail -n 1)" = "$line" ] || fail "$*: it gets: $(echoes | tail -n 1)"
}
spawn() { try 0 spawn "$@"; }
shell() { # LINE: typed on the serial line, which is held until it was taken
    local line=$XDG_RUNTIME_DIR/delias/$machine/console.sock
    { printf '%s\r' "$1"; wait_until echoed "$before"; } |
        timeout $wait_seconds socat - "UNIX-CONNECT:$line" > "$work/out"
}

try 0 run configs/machines/default.yaml --name $machine --detach --timeout $wait_seconds
try 0 load $machine build/cells/echo_args.o
gets 'echo_args 1: [echo_args]' shell 'spawn echo_args'
gets 'echo_args 2: [echo_args] [one]' shell 'spawn echo_args one'
gets 'echo_args 1: [echo_args]' spawn $machine echo_args
gets 'echo_args 2: [echo_args] [one]' spawn $machine echo_args one
gets 'echo_args 2: [echo_args] [one]' spawn echo_args one
gets 'echo_args 2: [echo_args] [echo_args]' spawn $machine echo_args echo_args
gets 'echo_args 4: [echo_args] [] [two words] []' spawn $machine echo_args '' 'two words' ''
gets 'echo_args 3: [echo_args] [--json] [-m]' spawn --machine $machine echo_args --json -m
gets 'echo_args 2: [echo_args] [one]' spawn $machine echo_args one --namespace root
gets 'echo_args 2: [echo_args] [one]' spawn --namespace root $machine echo_args one
gets "echo_args 16: [echo_args]$(printf ' [%d]' {1..15})" spawn $machine echo_args {1..15}
try 1 spawn $machine echo_args {1..16}
grep -q 'echo_args: refused: .*range' "$work/err" || fail 'the sixteenth argument is not refused'
try 1 spawn $machine echo_args "$(printf 'x%.0s' {1..1024})"
echo 'ok: an application gets the arguments that were written, from the host as from the shell'

# ---- machines
try 0 ps
try 0 ps --json
try '0 1' doctor
try '0 1' doctor --json
for verb in pause resume reset; do
    try 0 $verb $machine
    [ $verb != pause ] || try 1 ping $machine
done
try 0 pause --machine $machine
try 0 resume -m $machine
try 0 reset -m $machine
has_rounds() { [ "$("$delias" counters $machine --json 2> /dev/null | jq .rounds)" -gt 0 ] 2> /dev/null; }
wait_until has_rounds || fail 'it does not come back after a reset'
try 0 console $machine
try 0 console -m $machine
try "0 1" gdb $machine -batch -ex detach # 1: on KVM, where there is no stub
try 1 gdb --listen "$work" -m $machine
try 1 tui --readonly -m $machine
try 3 tui nobody
try 0 run --name $other --accel tcg --cpus 1 --ram 64M --kernel build/delias.elf --archive build/cells.archive \
    --append renew=no --timeout $wait_seconds --console
try 3 cells # of two machines
try 0 stop $other
try 1 run --name $other --append start=nothing --timeout $wait_seconds --tui
try 3 stop $other

# ---- reading
for verb in namespaces cells sections symbols deps memory tasks faults events counters swaps verify; do
    try 0 $verb $machine
    try 0 $verb --machine $machine --json
    follow $verb $machine
    [ $verb = deps ] || follow $verb --json
    got=0
    timeout $wait_seconds "$delias" $verb $machine > /dev/full 2> "$work/err" || got=$?
    watched $verb
    [ $got -eq 1 ] && grep -q 'standard output' "$work/err" || fail "$verb: a full disk gives status $got"
done
followed
for form in 'cells' 'cell channel' 'sections' 'symbols' 'deps' 'memory'; do
    try 0 $form --all
    try 0 $form --all --json
done
for verb in faults events swaps; do
    try 0 $verb $machine --last 2
    try 0 $verb --last 1 --json
done
for verb in sections symbols deps memory cell disasm; do
    try 0 $verb $machine channel
    try 0 $verb channel --json
    try 0 $verb -m $machine root/channel
    try 3 $verb $machine nothing
    follow $verb --machine $machine channel
done
for form in 'deps channel:channel_send --in' 'deps channel --in --json' 'disasm channel:channel_send' \
    'disasm channel:channel_send --json' 'deps channel:channel_send'; do
    try 0 $form
done
try 1 disasm channel:.bss.totals
try 3 disasm channel:nothing
followed
echo 'ok: machines, and what is read'

# ---- changing
v1=build/cells/channel.o v2=build/cells/channel_v2.o
try 0 ping $machine
try 0 ping --json --timeout 60 -m $machine
for form in '' --dry-run '--json --timeout 60' '--dry-run --json'; do
    try 0 reload $machine channel $form
    try 0 swap $machine channel=$v2 $form
done
try 0 swap channel=$v1 checksum=build/cells/checksum_v2.o --transfer-ms 2000
try 0 swap -m $machine =build/cells/racers.o
try 1 swap $machine racers= # its data would be lost
try 0 unload $machine racers
try 0 load $machine build/cells/echo_args.o
try 0 swap $machine echo_args=
try 0 swap $machine =build/cells/echo_args.o
try 1 swap $machine channel,checksum=$v2
try 1 swap $machine channel=tests/lib.sh
try 3 swap $machine nothing=$v2
try 0 load $machine build/cells/racers.o --json --timeout 60
try 1 load -m $machine build/cells/racers.o
try 0 unload $machine racers --json --timeout 60
try 0 load $machine build/cells/ledger.o
try 0 swap $machine ledger=build/cells/ledger_v2.o --recipes build/tests/ledger.recipes
try 0 unload -m $machine ledger
try 3 unload $machine ledger
try 0 load $machine build/cells/restless.o
try 0 spawn $machine restless b
try 0 kill $machine restless
try 0 spawn $machine restless f
try 0 kill -m $machine restless --json --timeout 60
try 1 kill $machine host_link
try 3 kill $machine restless_child
try 0 unload $machine restless
try 0 spawn --json --timeout 60 -m $machine echo_args
for model in flip flips:3 stuck0 trap; do
    try 0 inject $machine --into cell:echo_args:.text --model $model --seed 5
    try 0 inject -m $machine --into cell:echo_args --model $model --dry-run --json
done
try 0 reload $machine echo_args --transfer-ms 2000
try 0 inject --into symbol:channel_send+2+4 --dry-run
try 0 inject --into task:producer:stack --at rounds:1 --dry-run
try 0 inject --into phys:0x100000 --at ms:5 --dry-run
try 0 inject --into random --dry-run
try 0 inject --into cell:echo_args:.text --model stuck1 --hold 50
try 0 reload $machine echo_args
try 3 inject --into cell:nothing
echo 'ok: swaps, loads, injections'

# ---- refusals say what was wrong, and nothing else
refused() { # WORDS ARGUMENT...
    local words=$1
    shift
    try 1 "$@"
    [ "$(cat "$work/err")" = "delias $1: $words" ] || { cat "$work/err"; fail "not '$words': delias $*"; }
}
no_name='is no name: that is of a-z, 0-9 and _, and has up to 31'
refused 'channel: refused: invalid argument: channel is no application' spawn $machine channel
refused "a/b: refused: invalid argument: 'a/b' $no_name" ns $machine branch a/b
refused ": refused: invalid argument: '' $no_name" ns $machine branch ''
refused 'root: refused: root is what all others come from' ns $machine rm root
refused '1: refused: task 1 runs in no application' kill $machine 1
refused 'channel: refused: invalid argument: cell channel is to go twice' swap $machine channel=$v1 channel=$v2
refused "$v1: refused: already there: cell channel is loaded already, and is not among those to be replaced" \
    swap $machine =$v1
refused 'build: is a folder, a device or a pipe, and not a file' swap $machine channel=$v1 --recipes build
refused "'' names no file" load $machine ''
echo 'ok: refusals'

# ---- namespaces
try 0 ns $machine branch side
try 0 ns branch bound side --cpu 1 --simd --json --timeout 60
try 0 ns -m $machine branch third
try 0 swap $machine checksum=build/cells/checksum.o --namespace side
try 0 reload -m $machine checksum --namespace side
try 0 spawn $machine echo_args --namespace side
for form in list 'log' 'log side' 'diff root side' 'diff side root --all'; do
    try 0 ns $machine $form
    try 0 ns $form --json
    try 0 ns --machine $machine $form
    follow ns $machine $form
done
followed
try 0 ns $machine log side --json
read -r newest oldest <<< "$(jq -r '[.[].commit] | "\(max) \(min)"' "$work/out")"
try 0 ns $machine diff side "$newest"
try 0 ns $machine diff side "$newest" "$oldest"
try 2 ns $machine diff side "$newest" nothing
try 0 ns $machine checkout side root --dry-run
try 0 ns $machine checkout side root --dry-run --json --timeout 60
try 0 ns $machine checkout side root --transfer-ms 2000
try 0 ns checkout side "$newest"
try 0 ns checkout -m $machine side root --recipes build/tests/ledger.recipes
try 0 ns checkout side root --json
try 3 ns $machine checkout side 4000000000
try 3 ns $machine checkout nowhere root
for space in bound third; do
    try 0 ns $machine rm $space --json --timeout 60
done
try 3 ns -m $machine rm third
try 1 load $machine build/cells/left.o --namespace side # its state exists once
try 3 unload $machine left --namespace side
echo 'ok: namespaces'

# ---- builds
for side in old new; do
    mkdir -p "$work/$side/cells" "$work/$side/cells.debug"
    cp build/cells/{channel,checksum}.o "$work/$side/cells/"
    cp build/cells.debug/{channel,checksum}.o "$work/$side/cells.debug/"
done
try 0 swap $machine channel=$v1 checksum=build/cells/checksum.o
cp $v2 "$work/new/cells/channel.o"
cp build/cells.debug/channel_v2.o "$work/new/cells.debug/channel.o"
try 0 evolve diff "$work/old" "$work/new" -o "$work/manifest"
try 0 evolve diff "$work/old" "$work/new" --json --output "$work/manifest"
try 0 evolve $machine "$work/manifest" --dry-run --transfer-ms 2000
try 0 evolve "$work/manifest" --dry-run --json --timeout 60
try 0 evolve -m $machine "$work/manifest" --namespace root
try 1 evolve $machine "$work/manifest"
for side in old new; do
    cp build/cells/ledger$([ $side = old ] || echo _v2).o "$work/$side/cells/ledger.o"
    cp build/cells.debug/ledger$([ $side = old ] || echo _v2).o "$work/$side/cells.debug/ledger.o"
done
names=(--rename whole=entire --rename total=sum_of_all)
try 0 evolve diff "$work/old" "$work/new" "${names[@]}" --drop books.forgotten --only ledger
try 0 evolve diff "$work/old" "$work/new" --rename books.forgotten=nothing # which is shown as refused
try_cell make build/raw/channel.o -o "$work/made.o" --debug "$work/full.o"
try_cell describe build/delias.elf build/delias.map build/raw/nano_core.o -o "$work/image.o"
try_cell archive -o "$work/archive" "$work/made.o" "$work/image.o"
try_cell show "$work/made.o"
try_cell compare $v1 $v2
try_cell transfer "$work/old/cells/ledger.o" "$work/new/cells/ledger.o" "${names[@]}" --drop books.forgotten \
    -o "$work/recipes"
try_cell transfer --json "$work/old/cells/ledger.o" "$work/new/cells/ledger.o" "${names[@]}" --drop books.forgotten
both=$work/old/cells/channel.o,$work/old/cells/ledger.o
try_cell transfer "$both" "$both"
echo 'ok: builds'

# ---- campaigns; from here on the guest only takes time
try 0 pause $machine
sed "s#\.\./machines#$PWD/configs/machines#; s/count: 20/count: 1/; s/jitter_ms: 50/jitter_ms: 0/" \
    configs/campaigns/quick.yaml > "$work/c.yaml"
try 0 campaign check "$work/c.yaml"
try 0 campaign check configs/campaigns/quick.yaml --json
try 0 campaign run "$work/c.yaml" --output "$work/c.db" --json
try 1 campaign run "$work/c.yaml" -o "$work/c.db"
for form in report resume; do
    try 0 campaign $form "$work/c.db"
    try 0 campaign $form "$work/c.db" --json
done
try 0 campaign resume "$work/c.db" --manifested 1 --workers 1
try 0 campaign replay "$work/c.db" 0 --json
echo 'ok: campaigns'

# ---- the TUI: each page, each list of it, and the end
tmux="tmux -S $work/tmux -f /dev/null"
$tmux new-session -d -s t -x 100 -y 30 \
    "$delias tui $machine 2> $work/err; echo status \$? > $work/status; sleep $guest_seconds"
shows() { $tmux capture-pane -p -t t | grep -q "$1"; }
wait_until shows 'rounds' || fail 'the TUI shows nothing'
type_keys 1 2 3 4 5 6 7 8 9 '?' q 1 Down Enter Down Enter Escape Escape / c h a n Enter Escape
$tmux send-keys -t t q
wait_until test -s "$work/status" || fail 'the TUI does not end'
$tmux kill-server
[ "$(cat "$work/status")" = 'status 0' ] || fail "the TUI: $(cat "$work/status")"
: > "$work/out"
watched tui

try 0 snapshot $machine before
try 0 snapshot --json -m $machine
try 0 restore $machine before --audit
try 0 restore --json -m $machine before
try 0 snapshots $machine
try 0 snapshots --json -m $machine
try 1 run --connect no:///where --name x --detach
try 1 attach none --connect no:///where --name x
try 3 detach none

# ---- the end
try 0 cells $machine
try 1 spawn $machine echo_args
try 0 stop -m $machine
try 3 cells $machine
used() { grep -E "^$1( |\$)" "$work/used" | grep -qE -- "$2"; }
for verb in $("$delias" --help | awk '/^  [a-z]/ { print $1 }'); do
    used "$verb" . || fail "$verb was not run"
    try 0 "$verb" --help
    try 0 help "$verb"
    while read -r letter long; do
        [ -n "$letter" ] || continue # it has no options
        used "$verb" " ($long|$letter)( |\$)" || fail "$verb: $long was not used"
    done <<< "$("$delias" "$verb" --help | sed -nE 's/^  (-(.), )?(--[a-z-]+).*/-\2 \3/p')"
done
try 0 --help
echo 'ok: every verb, every option'

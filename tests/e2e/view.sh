#!/usr/bin/env bash
# The host sees: each reading verb's table and JSON keys on a running guest, operands and statuses, corruption found by
# verify, arbitrary bytes under the readers, SIGKILL of the guest.
set -eu
cd "$(dirname "$0")/../.."
. tests/lib.sh
delias=$PWD/build/bin/delias
work=$(mktemp -d)
export XDG_RUNTIME_DIR=$work
m=view$$
corruptor=
trap '[ -z "$corruptor" ] || kill $corruptor; $delias stop $m > /dev/null 2>&1 || true; rm -rf "$work"' EXIT

fail() { echo "view: $*"; exit 1; }
# status WANTED PATTERN VERB ...: the exit status, and a line of output that names the thing
status() {
    local wanted=$1 pattern=$2 got=0
    shift 2
    timeout $wait_seconds "$delias" "$@" > "$work/out" 2> "$work/err" || got=$?
    [ $got -eq "$wanted" ] || { cat "$work/err"; fail "delias $*: status $got, not $wanted"; }
    cat "$work/out" "$work/err" | grep -qE -- "$pattern" ||
        { cat "$work/out" "$work/err"; fail "delias $*: nothing says: $pattern"; }
}
json() { # FILTER VERB ...: true for the verb's JSON
    local filter=$1
    shift
    timeout $wait_seconds "$delias" "$@" --json > "$work/json" || fail "delias $* --json: status $?"
    [ -s "$work/json" ] || fail "delias $* --json: prints nothing"
    jq -e "$filter" "$work/json" > /dev/null || { head -c 600 "$work/json"; fail "delias $* --json: not: $filter"; }
}
keys() { # VERB KEYS: of each element, exactly and in this order; the manual page has the same
    json "length > 0 and all(.[]; keys_unsorted == (\"$2\" | split(\" \")))" "$1" $m
    manual_keys "$1" "$2"
}
manual() { # VERB: its entries in the manual page, as plain text in one line
    awk -v verb="$1" '/^\.S[SH]/ { inside = 0 }
        /^\.T[PQ]/ { head = 1; if ($1 == ".TP") inside = 0; next }
        head { head = 0; if ($0 ~ "(^|[ \",])" verb "( |\"|$)") inside = 1 }
        inside' docs/delias.1 | sed 's/\\f[BPRI]//g; s/\\-/-/g; s/^\.[A-Z]* //; s/" , "/, /g' | tr '\n' ' '
}
manual_keys() { # VERB KEYS
    local found
    found=$(manual "$1" | sed -n 's/.*Keys: \([^.]*\)\..*/\1/p' | tr -d ,)
    [ "$found" = "$2" ] || fail "docs/delias.1 has for $1 the keys '$found', not '$2'"
}
manual_names() { # VERB WORD ...: each of them stands in its entries
    local verb=$1 text word
    shift
    text=$(manual "$verb")
    for word in "$@"; do
        case "$text" in *"$word"*) ;; *) fail "docs/delias.1 does not name $word of $verb" ;; esac
    done
}
options() { # VERB: by their long names; those of all verbs of a kind are described before their entries
    "$delias" "$1" --help | grep -oE '^  (-., )?--[a-z-]+' | sed 's/.*--/--/' |
        grep -vxE -- '--(machine|json|follow|timeout|namespace)' || true
}
listed() { # HEADING VERB: the words that its help lists below
    "$delias" "$2" --help | awk -v heading="$1" '/:$/ { inside = $1 == heading; next } inside && /^  [^ ]/ { print $1 }'
}
has_rounds() {
    local rounds
    rounds=$($delias counters $m --json 2> /dev/null | jq .rounds) && [ "${rounds:-0}" -gt 0 ]
}
await_round() { # after a reset: its memory is cleared, and counts from 0
    wait_until has_rounds ||
        { tail -n 20 "$work/delias/$m/serial.log"; $delias counters $m; fail 'it does not come back after a reset'; }
}

# ---- no machine yet
status 3 'no machine runs; start one with' cells
status 3 "machine 'nobody' does not run" cells nobody
status 2 "there is no verb 'frobnicate'" frobnicate
status 2 "'--frobnicate' is unknown" cells --frobnicate
status 1 'No such file' run --name $m --kernel /nonexistent
json '. == []' ps
for verb in $("$delias" --help | awk '/^  [a-z]/ { print $1 }'); do
    status 0 "^usage: delias $verb" "$verb" --help
    [ -n "$(manual "$verb")" ] || fail "docs/delias.1 does not describe $verb"
    manual_names "$verb" $(options "$verb")
done
diff <(build/bin/delias-vmm --help | grep -oE '^  --[a-z-]+' | tr -d ' ') \
    <(sed -n '/^\.SH OPTIONS/,/^\.SH EXIT/{ s/\\-/-/g; s/^\.B[I]* \(--[a-z-]*\).*/\1/p; }' docs/delias-vmm.1) ||
    fail 'docs/delias-vmm.1 does not have the options of delias-vmm'
got=0
build/bin/delias-vmm --frobnicate > "$work/out" 2>&1 || got=$?
[ $got -eq 2 ] || fail 'delias-vmm takes an option that it does not have'
build/bin/cell show --help | grep -q '^usage: cell make' || fail 'cell --help prints no usage'
manual_names inject $(listed MODEL inject) $(listed TARGET inject)
[ "$(listed MODEL inject | wc -l)" -gt 5 ] && [ "$(listed TARGET inject | wc -l)" -gt 3 ] ||
    fail 'inject --help lists nothing'
echo 'ok: usage'

# ---- a running guest
$delias run configs/machines/default.yaml --name $m --detach > "$work/run.log" || { cat "$work/run.log"; exit 1; }
grep -q "delias stop $m" "$work/run.log" || fail 'run does not say how to stop it'
status 1 "$m" run configs/machines/default.yaml --name $m --detach
for verb in ps namespaces cells sections symbols deps memory tasks faults events counters verify; do
    status 0 '[a-z]' $verb $([ $verb = ps ] || echo $m)
done
keys cells 'name namespace version kind state bytes sections dependencies dependents tasks'
keys sections 'cell namespace name address bytes kind outgoing incoming physical pages permissions'
keys deps 'from to type address offset target addend namespace to_namespace'
keys tasks 'id name state cpu cell namespace restarts memory ending'
keys symbols 'name cell namespace section address bytes access type'
keys namespaces 'name parent cells tasks cpu simd'
keys memory 'owner namespace region virtual physical bytes'
keys events 'seq time_ns kind cpu a b text'
json '.[0] | keys_unsorted == ("name backend state pid ram_file qmp gdb" | split(" "))' ps
json '[has("rounds", "checksums_ok", "checksums_bad", "ticks", "swaps", "faults", "recoveries", "frames_free")] | all' \
    counters $m
json 'has("sections") and has("bytes") and .differing == [] and .damage == [] and .skipped == [] and .sections > 100' \
    verify $m
json 'type == "array"' faults $m
echo 'ok: tables and JSON keys'

json 'map(.name) | contains(["frame", "loader", "channel", "scheduler", "workload"])' cells $m
json 'any(.[]; .name == "loader" and .sections > 50)' cells $m
json '.name == "channel" and (.dependencies | index("wait_queue")) and (.dependents | index("workload"))' \
    cell $m channel
json '.references.holders == .references.edges_in and .references.edges_in > 0 and .references.edges_inside > 0 and
    .references.object_cells == 1 and .object.from == "archive" and .object.cell == "channel" and
    (.sections | map(.outgoing | length) | add) == .references.edges_out + .references.edges_inside and
    (.sections | map(.incoming | length) | add) == .references.edges_in + .references.edges_inside' cell $m channel
json '.sections | map({(.name): .}) | add | .[".text.channel_send"] | .pages.permissions == "r-x" and
    (.address >= .pages.first) and
    (.incoming | any(.symbol == "channel_send" and (.from | startswith("workload:")))) and
    (.outgoing | all(has("type") and has("offset") and has("addend")))' cell $m channel
json '[.sections[] | select(.kind == "data" or .kind == "bss") | .pages.permissions] | unique == ["rw-"]' \
    cell $m scheduler
json 'map(select(.permissions == "none" and .bytes > 0 or (.permissions | test("w.*x")))) == []' sections $m
status 0 'held by +[1-9][0-9]* edges of other cells' cell $m channel
status 0 'R_X86_64_PLT32' cell $m channel --all
json '.references.tasks > 0' cell $m workload
json 'all(.[]; .cell == "channel") and any(.[]; .name == ".text.channel_send")' sections $m channel
json 'all(.[]; .from == "channel:.text.channel_send") and any(.[]; .to | startswith("wait_queue:"))' \
    deps $m channel:channel_send
json 'all(.[]; .to == "channel:.text.channel_send") and any(.[]; .from | startswith("workload:"))' \
    deps $m channel:.text.channel_send --in
json 'any(.[]; .text | startswith("call")) and any(.[]; .relocation | startswith("wait_queue:"))' \
    disasm $m channel:channel_send
json 'all(.[]; .access == "private" | not)' symbols $m
json 'length == 3' events $m --last 3
[ "$($delias events $m | tail -n +2 | awk '{ print $1 }' | sort -n -c 2>&1)" = '' ] || fail 'events are out of order'
edges=$($delias cells $m --json | jq 'map(.sections) | add')
[ "$edges" -eq "$($delias sections $m --json | jq length)" ] || fail 'cells and sections disagree'
json "all(.[]; .outgoing == 0) or (map(.outgoing) | add) == $($delias deps $m --json | jq length)" sections $m
before=$($delias counters --json | jq .rounds)
more_rounds() { [ "$($delias counters --json | jq .rounds)" -gt $((before + 2)) ]; }
wait_until more_rounds || true
json ".rounds > $before + 2 and .checksums_bad == 0" counters
echo 'ok: what it says of the workload'

status 3 "there is no machine 'nobody'; running: $m" cells nobody
status 3 "there is no machine 'nobody'; running: $m" swap nobody channel=build/cells/channel_v2.o
status 3 "has no cell 'nothing'; its cells: .*channel" cell $m nothing
status 3 'nothing: refused: no such thing' spawn $m nothing
status 2 '--last wants a number' events $m --last -5
status 3 "has no section 'nothing'" disasm $m channel:nothing
status 2 'operand is missing' cell $m
status 2 'one operand too many' cells $m a b
status 0 '^cell +channel' cell channel
status 0 '^cell +channel' cell root/channel
status 0 '^cell +channel' cell -m $m channel
status 1 'holds no instructions' disasm $m channel:.eh_frame
got=0
$delias cells > /dev/full 2> "$work/err" || got=$?
[ $got -eq 1 ] || fail 'a full disk goes unnoticed'
timeout $wait_seconds $delias counters $m --follow --json | head -n 2 > "$work/follow"
[ "$(jq -s length "$work/follow")" -eq 2 ] || fail 'counters --follow prints nothing new'
timeout $wait_seconds $delias events $m --follow --json > "$work/follow" &
follower=$!
some_lines() { [ "$(wc -l < "$work/follow")" -gt 8 ]; }
wait_until some_lines || fail 'events --follow prints nothing new'
kill $follower
wait $follower 2> /dev/null || true
sed -i '$d' "$work/follow" # which the signal may have cut
jq -es '[.[].seq] as $s | ($s | length > 3) and $s == ($s | unique)' "$work/follow" > /dev/null ||
    fail 'events --follow repeats or skips'
echo 'ok: operands, statuses, --follow'

# ---- one flipped byte is named
$delias pause $m
json '.[0].state == "paused"' ps
status 1 "machine $m is paused; .delias resume" ping $m
ram=$($delias ps --json | jq -r '.[0].ram_file')
put() { # PHYSICAL OCTAL: one byte
    printf "\\$2" | dd of="$ram" bs=1 seek="$1" conv=notrunc status=none
}
peek() { od -An -tu1 -j "$1" -N 1 "$ram" | tr -d ' '; }
text=$($delias memory $m channel --json | jq -r '.[] | select(.region == "text") | .physical')
place=$((text + 20))
was=$(peek $place)
put $place "$(printf %03o $((was ^ 4)))"
status 1 '^channel ' verify $m
$delias verify $m --json > "$work/json" || true
jq -e ".differing | length == 1 and .[0].cell == \"channel\" and .[0].expected == $was and .[0].found == $((was ^ 4))" \
    "$work/json" > /dev/null || { cat "$work/json"; fail 'verify does not name the flipped byte'; }
put $place "$(printf %03o "$was")"
object=$($delias memory $m channel --json | jq -r '.[] | select(.region == "object") | .physical')
was=$(peek $((object + 100)))
put $((object + 100)) "$(printf %03o $((was ^ 1)))"
$delias verify $m --json > "$work/json" || true
jq -e '.differing | length == 1 and .[0].section == "object" and .[0].offset == 100' "$work/json" > /dev/null ||
    { cat "$work/json"; fail 'verify does not name the flipped byte of the pristine object'; }
put $((object + 100)) "$(printf %03o "$was")"
status 0 ' 0 differ' verify $m
echo 'ok: verify'

# ---- arbitrary bytes under the readers: any answer but a crash or a hang
bytes() { # LENGTH OFFSET: random bytes into the arena, which is at 3 MiB; the magic number stays
    head -c "$1" /dev/urandom |
        dd of="$ram" bs=4096 seek=$((0x300000 + 16 + $2)) oflag=seek_bytes conv=notrunc status=none
}
(
    while :; do
        bytes $((RANDOM % 64 + 1)) $((RANDOM * 97 % 4000000))
        bytes 4 $((RANDOM % 900))
        sleep 0.02
    done
) &
corruptor=$!
for round in $(seq 6); do
    bytes $((1 << 2 * round)) $((RANDOM * 89 % 2900000))
    for verb in namespaces cells sections symbols deps memory tasks faults events counters verify 'cell channel' \
        'disasm channel' 'disasm loader' 'ping --timeout 1'; do
        # shellcheck disable=SC2086
        for form in $([ $((round % 2)) = 0 ] || echo --json) ''; do
            got=0
            timeout $wait_seconds $delias $verb -m $m $form > "$work/out" 2> "$work/err" || got=$?
            case $got in
                0 | 1 | 3) ;;
                *) tail -n 5 "$work/err"; fail "delias $verb $form: status $got in round $round of corruption" ;;
            esac
            [ "$form$got" != --json0 ] || jq empty "$work/out" || fail "delias $verb: JSON that is none"
            ! LC_ALL=C grep -qP '[^\x0a\x20-\x7e]' "$work/out" || fail "delias $verb: control characters"
        done
    done
done
kill $corruptor
wait $corruptor 2> /dev/null || true
corruptor=
echo 'ok: arbitrary bytes'

# ---- and back to life
$delias reset $m
$delias resume $m
await_round
json '.damage == [] and .differing == []' verify $m
json '.checksums_bad == 0' counters $m
status 0 answers ping $m
echo 'ok: reset'

# ---- --follow over a reset, and to the end: SIGKILL of the guest
pid=$($delias ps --json | jq '.[0].pid')
rm -f "$work/follow"
timeout $guest_seconds $delias events $m --follow > "$work/follow" 2>&1 &
follower=$!
wait_until test -s "$work/follow" || fail 'events --follow prints nothing'
$delias reset $m
await_round
kill -0 $follower 2> /dev/null || { tail -n 3 "$work/follow"; fail 'events --follow ends with a reset'; }
kill -9 "$pid"
wait $follower || fail 'events --follow does not end with the machine'
status 3 "machine '$m' does not run" cells $m
status 3 'no machine runs' swap channel=build/cells/channel_v2.o
$delias run configs/machines/default.yaml --name $m --detach > /dev/null || fail 'what was killed is in the way'
status 0 channel cells $m
$delias stop $m
json '. == []' ps
echo 'ok: SIGKILL'

#!/usr/bin/env bash
# Names of cells: every verb that takes a cell, with one of the root, one of a namespace, and a name that several have.
# A name without a namespace is the root's; what is printed says whose a cell is; what is not there is said to be
# elsewhere.
set -u
cd "$(dirname "$0")/../.."
. tests/lib.sh
host_begin names

json() { # FILTER VERB ...: true for the verb's JSON
    local filter=$1
    shift
    must 0 "$@" --json
    jq -e "$filter" "$work/out" > /dev/null || fail "not $filter: delias $*"
}
refuse() { # STATUS WORDS ARGUMENT...
    local want=$1 words=$2
    shift 2
    must "$want" "$@"
    grep -q -- "$words" "$work/err" || fail "not '$words': delias $*"
}
tells() { # ARGUMENT...: that the root's is meant, and that there is another one
    must 0 "$@"
    grep -q "'checksum' is the root's; there is also c/checksum" "$work/err" || fail "does not tell whose: delias $*"
}
silent() { # ARGUMENT...: nothing is ambiguous
    must 0 "$@"
    [ ! -s "$work/err" ] || fail "says more than it should: delias $*"
}
version() { # NAME: of a cell
    "$delias" cell $machine "$1" --json 2> /dev/null | jq .version
}

v1=build/cells/checksum.o v2=build/cells/checksum_v2.o
must 0 run configs/machines/default.yaml --name $machine --append scrub=no --detach
await rounds 2
for verb in cell sections symbols deps memory disasm verify faults; do silent $verb $machine checksum; done
must 0 ns $machine branch c
must 0 swap $machine c/checksum=$v2
[ "$(version checksum) $(version root/checksum) $(version c/checksum)" = '1 1 2' ] ||
    fail 'not the versions that were swapped'
must 0 ns $machine diff root c --json
[ "$(jq -c 'map([.cell, .held_by, .version, .other_held_by, .other_version])' "$work/out")" = \
    '[["checksum","root",1,"c",2]]' ] || fail 'not what c/checksum= has changed'
echo 'ok: NAMESPACE/CELL=NEW.o is a swap in the namespace'

# ---- what is read
for verb in cell sections symbols deps memory disasm verify; do
    tells $verb $machine checksum
    cp "$work/out" "$work/plain"
    silent $verb $machine root/checksum
    cmp -s "$work/out" "$work/plain" || fail "$verb: checksum and root/checksum are not the same"
    silent $verb $machine c/checksum
    cmp -s "$work/out" "$work/plain" && [ $verb != verify ] && fail "$verb: c/checksum is that of the root"
    silent $verb $machine channel
    refuse 3 "no cell 'channel' in namespace 'c'; it is in root" $verb $machine c/channel
    refuse 3 "no namespace 'd'; there are: root, c" $verb $machine d/checksum
    refuse 3 "no cell 'nothing' in namespace 'c', nor elsewhere; c holds: .*checksum" $verb $machine c/nothing
    refuse 3 "no cell 'nothing'; its cells: .*channel" $verb $machine nothing
    refuse 3 'there can be no cell' $verb $machine /checksum
    refuse 3 'there can be no cell' $verb $machine c/
done
silent cell $machine '#5'
json 'map(select(.name == "checksum") | [.namespace, .version, .state]) | sort == [["c",2,"live"],["root",1,"live"]]' \
    cells $machine
for verb in sections symbols; do
    json 'length > 0 and all(.[]; .cell == "checksum" and .namespace == "root")' $verb $machine checksum
    json 'length > 0 and all(.[]; .cell == "checksum" and .namespace == "c")' $verb $machine c/checksum
    json 'map(select(.cell == "checksum").namespace) | unique == ["c","root"]' $verb $machine
done
json 'length > 0 and all(.[]; .owner == "checksum" and .namespace == "c")' memory $machine c/checksum
json 'any(.[]; .region == "stack" and .namespace == "root") and any(.[]; .owner == "arena" and .namespace == "")' \
    memory $machine
json 'any(.[]; .from | startswith("c/workload:")) and all(.[]; .to_namespace == "c" and .namespace == "c")' \
    deps $machine c/checksum --in
json 'any(.[]; .from | startswith("workload:")) and all(.[]; .to_namespace == "root" and .namespace == "root")' \
    deps $machine checksum --in
json '(.dependents | index("c/workload")) and .namespace == "c"' cell $machine c/checksum
json '(.dependents | index("workload")) and (.dependents | index("c/workload") | not)' cell $machine checksum
section=$("$delias" sections $machine c/checksum --json | jq -r '[.[] | select(.kind == "text") | .name][0]')
json 'length > 0 and all(.[]; .namespace == "c")' disasm $machine "c/checksum:$section"
must 0 disasm $machine c/checksum
grep -q '^c/checksum:' "$work/out" || fail 'disasm does not say whose section it is'
refuse 3 "cell c/checksum has no section 'nothing'; .*sections $machine c/checksum" disasm $machine c/checksum:nothing
sections=$("$delias" sections $machine c/checksum --json |
    jq '[.[] | select(.kind != "data" and .kind != "bss")] | length')
json "[.sections, .differing] == [$sections, []]" verify $machine c/checksum
echo 'ok: what is read of the root and of a namespace'

# ---- what is changed
tells swap $machine checksum=$v2 --dry-run
silent swap $machine root/checksum=$v2 --dry-run
tells reload $machine checksum --dry-run
silent reload $machine root/checksum --dry-run
must 0 reload $machine c/checksum
[ "$(version checksum) $(version c/checksum)" = '1 2' ] || fail 'a reload has changed versions'
json '.[0].namespace == "c"' swaps $machine --last 1
refuse 3 "no cell 'channel' in namespace 'c'; it is in root" reload $machine c/channel
refuse 3 "no cell 'channel' in namespace 'c'; it is in root" unload $machine c/channel
refuse 3 "no namespace 'd'" swap $machine d/checksum=$v2
refuse 3 "no cell 'nothing'" swap $machine c/nothing=$v2
refuse 2 'one request is about one namespace' swap $machine c/checksum=$v1 workload=build/cells/workload.o
refuse 2 'one request is about one namespace' swap $machine checksum=$v1 c/workload=build/cells/workload.o
refuse 2 'one request is about one namespace' swap $machine root/checksum=$v1 --namespace c
refuse 2 'one request is about one namespace' spawn --namespace root $machine c/workload
must 0 swap $machine c/checksum=$v1
[ "$(version checksum) $(version c/checksum)" = '1 1' ] || fail 'c/checksum= is not a swap in c'
must 0 swap $machine c/checksum=$v2 --namespace c
must 0 load $machine build/cells/echo_args.o --namespace c
grep -q 'loaded c/echo_args' "$work/out" || fail 'load does not say where'
refuse 3 "no cell 'echo_args' in namespace 'root'; it is in c" cell $machine echo_args
refuse 3 "no cell 'echo_args' in namespace 'root'; it is in c" unload $machine echo_args
must 0 ns $machine branch e
must 0 load $machine build/cells/echo_args.o --namespace e
refuse 3 "no cell 'echo_args' in namespace 'root'; it is in c, e" reload $machine echo_args
must 0 unload $machine e/echo_args
must 0 spawn $machine c/echo_args one
ended() { "$delias" tasks $machine --json | jq -e 'all(.[]; .name != "echo_args")' > /dev/null; }
wait_until ended || fail 'the application does not end'
must 0 unload $machine c/echo_args
must 0 ns $machine rm e
must 0 spawn $machine c/workload
rounds=$(counter rounds)
await rounds $((rounds + 6))
json 'any(.[]; .namespace == "c" and .cell == "workload")' tasks $machine
[ "$(counter checksums_bad)" -eq 0 ] || fail 'a checksum is wrong'
echo 'ok: swap, reload, load, unload, spawn'

# ---- plans and events
json '.plan.cells | any(.cell == "checksum" and .namespace == "c" and .what == "swapped")' \
    swap $machine c/checksum=$v1 --dry-run
json '.plan.sections | all(.[]; (.section + .to) | startswith("c/checksum:"))' swap $machine c/checksum=$v1 --dry-run
json '.plan.dependents | length > 0 and all(.[]; .dependent | startswith("c/"))' swap $machine c/checksum=$v1 --dry-run
json '.plan.dependents | all(.[]; .needs | startswith("c/checksum:"))' swap $machine c/checksum=$v1 --dry-run
must 0 swap $machine c/checksum=$v1 --dry-run
grep -q '^ *c/checksum  *2' "$work/out" || fail 'the table of a plan does not say whose cell it is'
json '.plan.cells | all(.[]; .namespace == "root")' swap $machine root/checksum=$v2 --dry-run
json '.plan.dependents | all(.[]; .needs | startswith("checksum:"))' swap $machine root/checksum=$v2 --dry-run
must 0 swap $machine c/checksum=$v1
for kind in swapped loaded; do
    json "any(.[]; .kind == \"cell $kind\" and .text == \"c/checksum\")" events $machine
done
must 0 swap $machine root/checksum=$v1
json 'any(.[]; .kind == "cell swapped" and .text == "checksum")' events $machine
freed() {
    "$delias" events $machine --json | jq -e 'any(.[]; .kind == "cell freed" and .text == "c/checksum")' > /dev/null
}
wait_until freed || fail 'no event of a freed cell says whose it was'
must 0 swap $machine c/checksum=$v2
echo 'ok: plans and events'

# ---- evolve: a manifest is for the root, unless it is said otherwise
for side in old new; do
    mkdir -p "$work/$side/cells" "$work/$side/cells.debug"
    cp build/cells/channel.o "$work/$side/cells/"
    cp build/cells.debug/channel.o "$work/$side/cells.debug/"
done
cp $v1 "$work/old/cells/checksum.o"
cp build/cells.debug/checksum.o "$work/old/cells.debug/"
cp $v2 "$work/new/cells/checksum.o"
cp build/cells.debug/checksum_v2.o "$work/new/cells.debug/checksum.o"
must 0 evolve diff "$work/old" "$work/new" -o "$work/there"
must 0 evolve diff "$work/new" "$work/old" -o "$work/back"
refuse 1 'another build of cell checksum' evolve $machine "$work/there" --namespace c
must 0 evolve $machine "$work/back" --namespace c
[ "$(version checksum) $(version c/checksum)" = '1 1' ] || fail 'the manifest was not for c alone'
must 0 evolve $machine "$work/there"
[ "$(version checksum) $(version c/checksum)" = '2 1' ] || fail 'the manifest was not for the root alone'
must 0 evolve $machine "$work/back"
must 0 swap $machine c/checksum=$v2
[ "$(version checksum) $(version c/checksum)" = '1 2' ] || fail 'not as it was'
echo 'ok: evolve'

# ---- injections hit what they name
place() { jq -r '.changes[0].place' "$work/out"; }
hits() { # WHERE TARGET: the place begins so, and verify finds a difference there
    must 0 inject $machine --into "$2" --seed 3 --model trap --json
    [[ $(place) == "$1"* ]] || fail "$2 hits $(place)"
    must 0 inject $machine --into "cell:$(place)" --dry-run --json
    [[ $(place) == "$1"* ]] || fail "cell:$(place) is another place"
}
is_clean() { timeout $wait_seconds "$delias" verify $machine > "$work/out"; }
must 0 ns $machine branch f
must 0 load $machine build/cells/echo_args.o --namespace f
hits f/echo_args:.text cell:f/echo_args:.text
timeout $wait_seconds "$delias" verify $machine f/echo_args --json > "$work/out"
[ $? -eq 1 ] || fail 'verify does not find what was injected'
jq -e '.differing | length > 0 and all(.[]; .cell == "echo_args" and .namespace == "f")' "$work/out" > /dev/null ||
    fail 'verify does not say whose cell differs'
must 0 verify $machine checksum
must 0 reload $machine f/echo_args
wait_until is_clean || fail "verify $machine finds damage after the reload" # the old copy is freed a bit later
symbol=$("$delias" symbols $machine c/checksum --json | jq -r '.[0].name')
for target in "cell:c/checksum:.text" "symbol:c/checksum.$symbol" "symbol:c/checksum.$symbol+1+2"; do
    must 0 inject $machine --into "$target" --dry-run --json
    [[ $(place) == c/checksum:.text* ]] || fail "$target is $(place)"
done
for target in "cell:checksum:.text" "cell:root/checksum:.text" "symbol:$symbol" "symbol:checksum.$symbol"; do
    must 0 inject $machine --into "$target" --dry-run --json
    [[ $(place) == checksum:.text* ]] || fail "$target is $(place)"
done
refuse 3 "no cell 'channel' in namespace 'c'; it is in root" inject $machine --into cell:c/channel
refuse 3 "no cell 'echo_args' in namespace 'root'; it is in f" inject $machine --into cell:echo_args
refuse 3 "no symbol 'nothing' in cell 'c/checksum'" inject $machine --into symbol:c/checksum.nothing
refuse 3 "no namespace 'd'" inject $machine --into cell:d/checksum
echo 'ok: injections'

# ---- the log of faults
must 0 load $machine build/cells/hopeless.o --namespace f
must 0 spawn $machine f/hopeless
faulted() { "$delias" faults $machine --json | jq -e 'length > 0' > /dev/null; }
wait_until faulted || fail 'it does not fault'
gave_up() { "$delias" tasks $machine --json | jq -e 'all(.[]; .name != "hopeless")' > /dev/null; }
wait_until gave_up || fail 'its task does not end'
json 'all(.[]; .cell == "hopeless" and .namespace == "f" and .blamed == "f/hopeless")' faults $machine
logged=$("$delias" faults $machine --json | jq length)
json "length == $logged" faults $machine f/hopeless
json 'length == 2' faults $machine f/hopeless --last 2
refuse 3 "no cell 'hopeless' in namespace 'root'; it is in f" faults $machine hopeless
json 'length == 0' faults $machine channel
grep -aq 'hopeless in f/hopeless:' "$XDG_RUNTIME_DIR/delias/$machine/serial.log" ||
    fail 'the log line does not say whose'
must 0 unload $machine f/hopeless
json "length == $logged" faults $machine f/hopeless
must 0 ns $machine rm f
json "length == $logged" faults $machine f/hopeless
echo 'ok: the log of faults names the namespace, also of a cell that is gone'

# ---- targets of campaigns
campaign() { # TARGET
    sed "s#\.\./machines#$PWD/configs/machines#; /^targets:/,/^[a-z]/ { /^ *- /d; s/^targets:.*/&\n  - $1/ }" \
        configs/campaigns/quick.yaml | sed "s#|#/#" > "$work/c.yaml"
    grep -q "^  - ${1/|//}" "$work/c.yaml" || fail "no campaign with $1"
}
for target in 'cell:root|checksum:.text' 'symbol:root|channel.channel_send' 'cell:c|checksum'; do
    campaign "$target"
    must 0 campaign check "$work/c.yaml"
done
for target in 'cell:root|nothing' 'symbol:root|nothing.channel_send' 'cell:c|nothing'; do
    campaign "$target"
    must 1 campaign check "$work/c.yaml"
    grep -q "there is no cell '.*nothing'" "$work/err" || fail "not what is wrong with $target"
done
echo 'names: all passed'

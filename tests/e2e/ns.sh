#!/usr/bin/env bash
# Namespaces from the host: a branch that differs in one cell under the workload in both; what is refused, with hostile names
# and in the wrong order, changes nothing; what is removed gives everything back.
set -u
cd "$(dirname "$0")/../.."
. tests/lib.sh
host_begin ns

spaces() { "$delias" ns $machine list --json | jq -c 'map([.name, .parent, .cells])'; }
held() { "$delias" cells $machine --json | jq -r "[.[] | select(.namespace == \"$1\") | .name] | sort | join(\" \")"; }
records() { "$delias" memory $machine --json | jq length; }
tasks_in() { "$delias" tasks $machine --json | jq -r "[.[] | select(.namespace == \"$1\")] | length"; }

must 0 run configs/machines/default.yaml --name $machine --detach
await 60 rounds 2
[ "$(spaces)" = "[[\"root\",\"\",$("$delias" cells $machine --json | jq length)]]" ] || fail "at the beginning: $(spaces)"

v2=build/cells/checksum_v2.o
must 0 ns $machine branch fast
[ -z "$(held fast)" ] || fail "a branch holds $(held fast)"
must 0 ns $machine diff root fast --json
[ "$(jq length "$work/out")" -eq 0 ] || fail 'a branch differs'
must 0 swap $machine checksum=$v2 --namespace fast --dry-run --json
jq -e '.plan.cells | any(.cell == "checksum" and .new_version == 2 and .what == "swapped") and
    any(.cell == "workload" and .what == "copied")' "$work/out" > /dev/null || fail 'the dry run does not say what is copied'
[ -z "$(held fast)" ] || fail 'a dry run has changed something'
must 0 swap $machine checksum=$v2 --namespace fast
grep -q 'copied:.* workload' "$work/out" || fail 'the workload depends on checksum and is not copied'
held fast | grep -qw checksum && held fast | grep -qw workload || fail "fast holds $(held fast)"
held fast | grep -qwE 'channel|scheduler|heap|log' && fail "singletons are copied: $(held fast)"
must 0 ns $machine diff root fast --json
[ "$(jq -c 'map([.cell, .held_by, .version, .other_held_by, .other_version])' "$work/out")" = \
    '[["checksum","root",1,"fast",2]]' ] || fail 'not checksum alone differs'
[ "$(jq -r '.[0].object != .[0].other_object' "$work/out")" = true ] || fail 'the objects do not differ'
must 0 ns $machine diff --all fast root --json
[ "$(jq -r '[.[].cell] | sort | join(" ")' "$work/out")" = "$(held fast)" ] || fail 'with --all not what fast holds'
echo "ok: fast differs in checksum, holds $(held fast), and shares the rest"

must 0 spawn $machine workload --namespace fast
rounds=$(counter rounds)
[ "$(tasks_in fast)" -ge 1 ] || fail 'no task runs in fast'
await 60 rounds $((rounds + 10))
[ "$(counter checksums_bad)" -eq 0 ] && [ "$(counter faults)" -eq 0 ] || fail 'a checksum is wrong, or there was a fault'
echo "ok: the workload runs in both, $(counter rounds) rounds right"

before=$(spaces)
refuse() { # STATUS WORDS ARGUMENT...
    local want=$1 words=$2
    shift 2
    must "$want" "$@"
    grep -q -- "$words" "$work/err" || fail "not '$words': $*"
    [ "$(spaces)" = "$before" ] || fail "changed by: $*"
}
refuse 1 'task .* is in fast' ns $machine rm fast
refuse 1 'already' ns $machine branch fast
refuse 1 'singleton' swap $machine channel=build/cells/channel_v2.o --namespace fast
refuse 1 'root is what all others come from' ns $machine rm root
refuse 3 'no namespace' ns $machine rm slow
refuse 3 'no namespace' ns $machine branch slow nowhere
refuse 3 'no namespace' swap $machine checksum=$v2 --namespace slow
refuse 3 'no namespace' spawn $machine workload --namespace slow
refuse 3 'no namespace' ns $machine diff root slow
refuse 1 'inherit' swap $machine memory_fs= --namespace fast
refuse 1 'inherited' unload $machine memory_fs --namespace fast
refuse 1 'CPU' ns $machine branch far --cpu 77
for word in ../x a/b 'a b' A $'a\nb' $'\e[31m' "'" '%s%n' a.b; do refuse 1 . ns $machine branch "$word"; done
refuse 1 . ns $machine rm '../fast'
refuse 3 'so long a name' ns $machine branch a_name_that_is_longer_than_31_bytes
refuse 3 'so long a name' ns $machine branch x a_name_that_is_longer_than_31_bytes
refuse 2 'missing' ns $machine branch
refuse 2 'too many' ns $machine rm a b
refuse 2 'list' ns $machine
refuse 2 'list' ns $machine frobnicate
refuse 2 'unknown' ns $machine list --cpu 1
refuse 2 '--cpu' ns $machine branch x --cpu -1
echo 'ok: what is refused has its reason and changes nothing'

must 0 ns $machine branch faster fast
must 0 ns $machine branch bound --cpu 1
[ "$("$delias" namespaces $machine --json | jq -c 'map([.name, .parent, .cpu])')" = \
    '[["root","",""],["fast","root",""],["faster","fast",""],["bound","root","1"]]' ] || fail "$(spaces)"
must 1 ns $machine rm fast
grep -q 'faster is a branch of fast' "$work/err" || fail 'its branch does not hold it'
must 0 ns $machine diff fast faster --json
[ "$(jq length "$work/out")" -eq 0 ] || fail 'a branch of a branch differs'
must 0 ns $machine rm faster
must 0 ns $machine rm bound
echo 'ok: branches of branches, and one that is bound to a CPU'

must 0 swap $machine checksum=build/cells/checksum.o --namespace fast
must 0 ns $machine diff root fast --json
[ "$(jq length "$work/out")" -eq 0 ] || fail 'the same object differs'
await 60 rounds $(($(counter rounds) + 4))
[ "$(counter checksums_bad)" -eq 0 ] && [ "$(counter faults)" -eq 0 ] || fail 'a swap in fast has done harm'
must 0 verify $machine
echo 'ok: what fast holds is swapped under its workload, and verifies'

# Nothing in it runs for ever: removed and made again ten times, memory comes back.
must 0 ns $machine branch again
must 0 swap $machine checksum=$v2 --namespace again
must 0 ns $machine rm again
settled() {
    local end=$((SECONDS + 30)) last=
    until [ "$("$delias" cells $machine --all --json | jq '[.[] | select(.namespace == "again")] | length')" -eq 0 ]; do
        [ $SECONDS -lt $end ] || fail 'a removed namespace keeps its cells'
        sleep 0.2
    done
}
settled
owned=$(records)
for _ in 1 2 3 4 5; do
    must 0 ns $machine branch again
    must 0 swap $machine checksum=$v2 --namespace again
    must 0 ns $machine rm again
    settled
done
end=$((SECONDS + 30))
until now=$(records); [ "$now" -le "$owned" ]; do
    [ $SECONDS -lt $end ] || fail "regions of memory: $owned, then $now"
    sleep 0.2
done
[ "$(spaces | grep -c again)" -eq 0 ] || fail 'it is still there'
must 0 verify $machine
echo 'ns: all passed'

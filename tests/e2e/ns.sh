#!/usr/bin/env bash
# Namespaces from the host: a branch that differs in one cell under the workload in both; what is refused, with hostile
# names and in the wrong order, changes nothing; what is removed gives everything back.
set -u
cd "$(dirname "$0")/../.."
. tests/lib.sh
host_begin ns

spaces() { "$delias" ns $machine list --json | jq -c 'map([.name, .parent, .cells])'; }
held() { "$delias" cells $machine --json | jq -r "[.[] | select(.namespace == \"$1\") | .name] | sort | join(\" \")"; }
records() { "$delias" memory $machine --json | jq length; }
tasks_in() { "$delias" tasks $machine --json | jq -r "[.[] | select(.namespace == \"$1\")] | length"; }

must 0 run configs/machines/default.yaml --name $machine --detach
await rounds 2
[ "$(spaces)" = "[[\"root\",\"\",$("$delias" cells $machine --json | jq length)]]" ] ||
    fail "at the beginning: $(spaces)"

v2=build/cells/checksum_v2.o
must 0 ns $machine branch fast
[ -z "$(held fast)" ] || fail "a branch holds $(held fast)"
must 0 ns $machine diff root fast --json
[ "$(jq length "$work/out")" -eq 0 ] || fail 'a branch differs'
must 0 swap $machine checksum=$v2 --namespace fast --dry-run --json
jq -e '.plan.cells | any(.cell == "checksum" and .new_version == 2 and .what == "swapped") and
    any(.cell == "workload" and .what == "copied")' "$work/out" > /dev/null ||
    fail 'the dry run does not say what is copied'
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
await rounds $((rounds + 10))
[ "$(counter checksums_bad)" -eq 0 ] && [ "$(counter faults)" -eq 0 ] ||
    fail 'a checksum is wrong, or there was a fault'
echo "ok: the workload runs in both, $(counter rounds) rounds right"

must 0 ns $machine branch plain
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
refuse 1 'needs .*, which only cell channel exports, and that is hidden or to go' \
    swap $machine channel= --namespace plain
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

must 0 ns $machine rm plain
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
await rounds $(($(counter rounds) + 4))
[ "$(counter checksums_bad)" -eq 0 ] && [ "$(counter faults)" -eq 0 ] || fail 'a swap in fast has done harm'
must 0 verify $machine
echo 'ok: what fast holds is swapped under its workload, and verifies'

log_of() { "$delias" ns $machine log "$1" --json | jq -c "$2"; }
commits='map([.commit, .namespace, .what, .cells, .checkout])'
first=$(log_of fast '.[-2].commit')
was=$(log_of fast '.[1].commit')
last=$(log_of fast '.[0].commit')
[ "$(log_of fast "$commits")" = "$(jq -nc --argjson a "$last" --argjson b "$was" --argjson c "$first" \
    '[[$a, "fast", "change", "checksum 2>1", "yes"], [$b, "fast", "change", "checksum 1>2", "yes"],
      [$c, "fast", "branch of root", "", "yes"], [0, "root", "start", "", "yes"]]')" ] || fail "$(log_of fast .)"
[ "$(log_of root 'map(.what)')" = '["start"]' ] || fail "the root's commits: $(log_of root .)"
must 0 ns $machine diff fast "$was" --json
[ "$(jq -c 'map([.cell, .held_by, .version, .other_held_by, .other_version])' "$work/out")" = \
    '[["checksum","fast",1,"",2]]' ] || fail 'not what differs from the commit before'
must 0 ns $machine diff fast "$first" "@$was" --json
[ "$(jq -c 'map([.cell, .version, .other_version])' "$work/out")" = '[["checksum",1,2]]' ] || fail 'of two commits'
must 0 ns $machine checkout fast "$was" --dry-run
must 0 ns $machine diff root fast --json
[ "$(jq length "$work/out")" -eq 0 ] || fail 'a dry run has changed something'
must 0 ns $machine checkout fast "$was"
must 0 ns $machine diff root fast --json
[ "$(jq -c 'map([.cell, .other_version])' "$work/out")" = '[["checksum",2]]' ] || fail 'it does not have what it had'
[ "$(log_of fast '.[0] | [.what, .cells]')" = '["change","checksum 1>2"]' ] || fail 'a checkout is no commit'
must 0 ns $machine checkout fast "$was" --json
[ "$(jq -c '[.ok, .relocations, .detail]' "$work/out")" = '[true,0,"nothing differs"]' ] || fail 'it differs already'
must 0 ns $machine checkout fast root
held fast | grep -qw checksum && fail "it holds what the root has: $(held fast)"
await rounds $(($(counter rounds) + 4))
[ "$(counter checksums_bad)" -eq 0 ] && [ "$(counter faults)" -eq 0 ] || fail 'giving up has done harm'
must 0 ns $machine checkout fast "$was" --json
[ "$(jq -c '[.ok, (.detail | startswith("copied"))]' "$work/out")" = '[true,true]' ] || fail 'not taken there and back'
must 0 ns $machine checkout root fast
must 0 ns $machine diff root fast --json
[ "$(jq length "$work/out")" -eq 0 ] || fail 'the root is not like fast'
must 0 ns $machine checkout root 0
must 0 load $machine build/cells/figure_b.o
must 0 ns $machine checkout root 0
[ "$("$delias" cells $machine --json | jq '[.[] | select(.name == "figure_b")] | length')" -eq 0 ] ||
    fail 'it is still loaded'
[ "$(log_of root 'map(.cells)')" = '["figure_b 1>0","figure_b 0>1","checksum 2>1","checksum 1>2",""]' ] ||
    fail "the root's commits: $(log_of root .)"
loaded=$(log_of root '.[1].commit')
must 0 ns $machine checkout root "$loaded"
await rounds $(($(counter rounds) + 4))
[ "$(counter checksums_bad)" -eq 0 ] && [ "$(counter faults)" -eq 0 ] || fail 'a checkout has done harm'
echo 'ok: namespaces are taken back and forth under the workload, each time by what differs'

must 0 ns $machine branch like
must 0 unload $machine figure_b
before=$(spaces)
refuse 3 'no commit 4711' ns $machine checkout fast 4711
refuse 3 'no commit' ns $machine diff fast 4711
refuse 3 "no commit $loaded" ns $machine checkout fast "$loaded"
refuse 3 'no commit' ns $machine checkout fast 9999999999999999999
refuse 3 'no namespace' ns $machine checkout fast 99999999999999999999
refuse 3 'no namespace' ns $machine checkout slow 0
refuse 3 'no namespace' ns $machine checkout fast slow
refuse 3 'no namespace' ns $machine checkout fast -- -1
refuse 3 'no namespace' ns $machine checkout fast ''
refuse 3 'no namespace' ns $machine checkout a_name_that_is_longer_than_31_bytes "$was"
refuse 3 'no namespace' ns $machine log ../fast
refuse 2 'missing' ns $machine checkout fast
refuse 2 'two of its commits' ns $machine diff fast root fast
refuse 2 'unknown' ns $machine checkout fast "$was" --cpu 1
refuse 1 'and not a file' ns $machine checkout fast 0 --recipes /dev/null
must 0 ns $machine rm like
echo 'ok: what cannot be checked out has its reason and changes nothing'

# What the parent does afterwards is no part of a commit.
version() { "$delias" cell $machine "$1" --json 2> /dev/null | jq .version; }
must 0 ns $machine branch past
made=$(log_of past '.[0].commit')
must 0 load $machine build/cells/figure_b.o --namespace past
was=$(log_of past '.[0].commit')
must 0 swap $machine checksum=$v2
must 0 load $machine build/cells/figure_a.o
must 0 unload $machine figure_a
[ "$(version checksum)" = 2 ] || fail "the root has checksum $(version checksum)"
must 0 ns $machine diff past "$was" --json
[ "$(jq -c 'map([.cell, .version, .other_version])' "$work/out")" = '[["checksum",2,1]]' ] ||
    fail 'not what the parent has done since'
must 0 ns $machine checkout past "$was"
[ "$(version checksum) $(version past/checksum)" = '2 1' ] || fail 'not its own checksum of then'
must 0 ns $machine diff past "$was" --json
[ "$(jq length "$work/out")" -eq 0 ] || fail 'it does not consist of what it did'
must 0 load $machine build/cells/figure_b.o
must 0 ns $machine checkout past "$made"
[ "$(version past/checksum)" = 1 ] && ! held past | grep -qw figure_b || fail 'not what it was made of'
must 3 cell $machine past/figure_b
grep -q "no cell 'figure_b' in namespace 'past'; it is in root" "$work/err" || fail 'it sees what its parent has loaded'
must 3 spawn $machine past/figure_b
grep -q 'past lacks figure_b' "$work/err" || fail 'it is loaded for a namespace that lacks it'
[ "$("$delias" cells $machine --all --json | jq -c '[.[] | select(.state == "absent") | [.name, .namespace]]')" = \
    '[["figure_b","past"]]' ] || fail 'not one absence'
must 0 ns $machine diff past root --json
[ "$(jq -c 'map([.cell, .version, .other_version])' "$work/out")" = '[["checksum",1,2],["figure_b",0,1]]' ] ||
    fail 'an absence is not told apart'
must 0 ns $machine checkout past "$was"
[ "$(version past/figure_b)" = 1 ] || fail 'what it lacked does not come again'
must 0 ns $machine checkout past "$made"
must 0 ns $machine checkout past root
[ "$("$delias" ns $machine diff past root --json)" = '[]' ] || fail 'it is not like the root'
held past | grep -qwE 'figure_b|checksum' && fail "it holds what the root has: $(held past)"
must 0 unload $machine figure_b
must 0 swap $machine checksum=build/cells/checksum.o
await rounds $(($(counter rounds) + 4))
[ "$(counter checksums_bad)" -eq 0 ] && [ "$(counter faults)" -eq 0 ] || fail 'that has done harm'
must 0 ns $machine rm past
echo 'ok: a namespace is restored whatever its parent has done since'

must 0 ns $machine branch wide --simd
[ "$("$delias" ns $machine list --json | jq -c 'map(.simd)')" = '["","","yes"]' ] || fail 'not the one SIMD namespace'
must 1 swap $machine canvas=build/cells/canvas_avx2.o --namespace fast
must 0 swap $machine canvas=build/cells/canvas_avx2.o --namespace wide
must 0 ns $machine rm wide
echo 'ok: a SIMD namespace has cells that use SIMD registers'

# Nothing in it runs for ever: removed and made again ten times, memory comes back.
must 0 ns $machine branch again
must 0 swap $machine checksum=$v2 --namespace again
must 0 ns $machine rm again
has_no_cells() {
    "$delias" cells $machine --all --json | jq -e 'all(.[]; .namespace != "again")' > /dev/null
}
await_no_cells() { wait_until has_no_cells || fail 'a removed namespace keeps its cells'; }
await_no_cells
owned=$(records)
# Objects of nearly a mailbox each: two are kept beside the one in use, so the oldest commits go.
must 0 ns $machine branch again
for i in 1 2 3 4; do
    printf '%d%0900000d' "$i" 0 > "$work/pad"
    objcopy --add-section .rodata.pad="$work/pad" --set-section-flags .rodata.pad=alloc,readonly,data \
        build/raw/checksum_v2.o "$work/raw.o"
    build/bin/cell make "$work/raw.o" -o "$work/$i.o" || fail "no object of nearly a mailbox"
    must 0 swap $machine checksum="$work/$i.o" --namespace again
done
[ "$(log_of again '.[:5] | map(.checkout)')" = '["yes","yes","yes","checksum 2 is gone","yes"]' ] ||
    fail "not the oldest has gone: $(log_of again .)"
gone=$(log_of again '.[3].commit')
must 1 ns $machine checkout again "$gone"
grep -q 'version 2 of checksum, object 0x[0-9a-f]*, is not kept any more' "$work/err" || fail 'not said what is gone'
must 0 ns $machine checkout again "$(log_of again '.[2].commit')"
must 0 ns $machine rm again
await_no_cells
[ "$("$delias" memory $machine --json | jq '[.[] | select(.region == "kept" and .bytes > 900000)] | length')" -eq 0 ] ||
    fail 'objects of a removed namespace are kept'
echo 'ok: the oldest objects go first, and all of them with their namespace'
for _ in 1 2 3 4 5; do
    must 0 ns $machine branch again
    must 0 swap $machine checksum=$v2 --namespace again
    must 0 ns $machine rm again
    await_no_cells
done
regions_are_back() { now=$(records); [ "$now" -le "$owned" ]; }
wait_until regions_are_back || fail "regions of memory: $owned, then $now"
[ "$(spaces | grep -c again)" -eq 0 ] || fail 'it is still there'
must 0 verify $machine
echo 'ns: all passed'

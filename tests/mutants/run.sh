#!/usr/bin/env bash
# Makes the deliberate defects of tests/mutants/list, one at a time, in copies of the tree, and says which of them no
# test notices. Fails when those are LIVE_MAX or more.
#   run.sh [WORD...]     only those whose name or tests contain one of the words
# MUTANT_JOBS copies (default: one for each core) work side by side; what they printed is in build/mutants/.
set -u
cd "$(dirname "$0")/../.."
LIVE_MAX=5
jobs=${MUTANT_JOBS:-$(nproc)}
out=$PWD/build/mutants
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$out"
rm -f "$out"/*.log
export CCACHE_NOHASHDIR=1

tests/mutants/apply.pl check || exit 2
tests/mutants/apply.pl names > "$work/all"
: > "$work/chosen"
for word in "${@:-}"; do grep -F -- "$word" "$work/all" >> "$work/chosen"; done
sort -nu "$work/chosen" -o "$work/chosen"
[ -s "$work/chosen" ] || { echo "mutants: no defect has such a name"; exit 2; }

split_tests() { tr ',' '\n' <<< "$1" | sed 's/^ *//; s/ *$//'; }

run_test() { # TEST LIMIT, in a copy: "script WORD", a suite, or SUITE/CASE; fails too when there is no such test
    local suite=${1%%/*} case= limit=$2 words=() session status
    [[ $1 != */* ]] || case=${1#*/}
    if [[ $1 = script\ * ]]; then
        suite='' words=("${1#script }")
    fi
    # A session of its own: machines outlive a test that is ended.
    env ${suite:+"CK_RUN_SUITE=$suite"} ${case:+"CK_RUN_CASE=$case"} setsid timeout -k 10 "$limit" \
        build/tests/delias-tests "${words[@]}" > test.out 2>&1 < /dev/null &
    session=$!
    wait "$session"
    status=$?
    pkill -KILL -s "$session"
    cat test.out
    grep -q 'Checks: [1-9]' test.out || [ $status -ne 0 ] || status=99
    return $status
}

build_for() { # TESTS, in a copy
    local targets='build/tests/delias-tests' as_is='-o build/tests/scale.o' test
    while read -r test; do
        [[ $test = hosted\ * ]] || targets+=' build/bin/cell build/bin/delias build/bin/delias-vmm'
        [[ $test != script\ * ]] || targets+=' build/delias.elf build/cells.archive build/tests/guest.archive'
        [[ $test != script\ verbs* ]] || targets+=' build/asan/bin/delias build/asan/bin/cell' # which that one runs
        [[ $test != scale* ]] || as_is=
    done <<< "$(split_tests "$1")"
    make --no-print-directory $as_is $targets
}

next_line() { # FILE: the first line that nobody has taken
    flock "$work/lock" sh -c 'head -n 1 "$1"; sed -i 1d "$1"' _ "$1"
}

# Ten times what the test took without a defect, and a minute: what takes longer hangs, which is noticed too.
limit_of() { awk -F '\t' -v test="$1" '$1 == test { print 10 * $2 + 60 }' "$work/seconds"; }

try_soundness() { # each test that is named passes without a defect
    local test started
    while test=$(next_line "$work/tests") && [ -n "$test" ]; do
        if { build_for "$test" && started=$SECONDS && run_test "$test" 3600; } > "$out/sound.$BASHPID.log" 2>&1; then
            printf '%s\t%d\n' "$test" $((SECONDS - started)) >> "$work/seconds"
        else
            echo "$test" >> "$work/unsound"
            cp "$out/sound.$BASHPID.log" "$out/unsound $(tr ' /' '__' <<< "$test").log"
        fi
    done
}

try_defects() {
    local number tests name path test started verdict
    while IFS=$'\t' read -r number tests name <<< "$(next_line "$work/chosen")" && [ -n "$number" ]; do
        started=$SECONDS
        verdict=lives
        path=$(tests/mutants/apply.pl path "$number")
        cp -p "$path" "$path.sound"
        tests/mutants/apply.pl apply "$number"
        {
            diff -u "$path.sound" "$path"
            if ! build_for "$tests"; then
                verdict='does not build'
            else
                while [ "$verdict" = lives ] && read -r test; do
                    run_test "$test" "$(limit_of "$test")" || verdict=killed
                done <<< "$(split_tests "$tests")"
            fi
        } > "$out/$number.log" 2>&1
        cp "$path.sound" "$path" # newer than what was made of the defect
        rm "$path.sound"
        printf '%s\t%s\t%s\n' "$verdict" "$number" "$name" >> "$work/verdicts"
        printf '%-15s %3d s  %s\n' "$verdict" $((SECONDS - started)) "$name"
    done
}

for ((i = 0; i < jobs; i++)); do
    mkdir "$work/copy$i"
    git ls-files -z --cached --others --exclude-standard | xargs -0 cp -a --parents -t "$work/copy$i" 2> "$work/gone"
    cp -a build "$work/copy$i/"
    rm -rf "$work/copy$i/build/mutants"
done
cut -f 2 "$work/chosen" | while read -r line; do split_tests "$line"; done | sort -u > "$work/tests"
echo "mutants: $(wc -l < "$work/chosen") defects, $jobs at a time;" \
    "first their $(wc -l < "$work/tests") tests without any"
: > "$work/verdicts"
for verb in try_soundness try_defects; do
    for ((i = 0; i < jobs; i++)); do (cd "$work/copy$i" && $verb) & done
    wait
    [ ! -s "$work/unsound" ] || { echo 'mutants: these fail without a defect:'; sort "$work/unsound"; exit 2; }
done

count() { grep -c "^$1" "$work/verdicts"; }
echo "mutants: $(count killed) killed, $(count lives) live, $(count 'does not build') do not build"
grep -v '^killed' "$work/verdicts" | sort -t "$(printf '\t')" -k 1,1 -k 2,2n | cut -f 1,3 | expand -t 18
[ "$(count 'does not build')" -eq 0 ] || exit 2
[ "$(count lives)" -lt $LIVE_MAX ]

#!/usr/bin/env bash
# A fixed set of experiments that repeat exactly (tests/faults/*.yaml). One that is lost, and was recovered when
# tests/faults/expected was written, fails. FAULTS=N runs N of the 999 only.
#   faults.sh --write    runs all at three moments and writes tests/faults/expected: "recovered" are those that were
#                        recovered whenever they showed, so that a change elsewhere, which moves the moment, does not
#                        count. An experiment that is not in the file is not compared. After changes of the kernel that
#                        recover more, or move much.
set -u
cd "$(dirname "$0")/../.."
. tests/lib.sh
root=$PWD
work=$(mktemp -d)
export XDG_RUNTIME_DIR=$work/run
mkdir -m 700 "$XDG_RUNTIME_DIR"
delias=$root/build/bin/delias
models=(trap flip overwrite64)
expected=tests/faults/expected
trap 'for m in $(timeout $wait_seconds "$delias" ps --json | jq -r ".[].name"); do
        timeout $wait_seconds "$delias" stop $m > /dev/null 2>&1
    done
    rm -rf "$work"' EXIT

# run_model MODEL COUNT WARMUP NAME [OPTION...]: into $work/NAME.db; into $work/NAME a line "MODEL INDEX OUTCOME TARGET"
# for each
run_model() {
    sed "s#\.\./\.\./#$root/#; s/^count:.*/count: $2/; \$a warmup_rounds: $3" "tests/faults/$1.yaml" > "$work/$4.yaml"
    timeout $guest_seconds "$delias" campaign run "$work/$4.yaml" -o "$work/$4.db" "${@:5}" > "$work/$4.report" \
        2> "$work/$4.log" < /dev/null || { tail -n 5 "$work/$4.log"; exit 1; }
    awk -v "model=$1" '{ print model, $2, $3, $4 }' "$work/$4.log" > "$work/$4"
}
class='$3 == "benign" { class = "benign" }
    $3 == "restart" || $3 == "reload" { class = "recovered" }
    $3 != "benign" && $3 != "restart" && $3 != "reload" { class = "lost" }'

if [ "${1:-}" = --write ]; then
    for model in "${models[@]}"; do
        for warmup in 1 2 3; do run_model "$model" 333 $warmup "$model.$warmup"; done
    done
    for model in "${models[@]}"; do cat "$work/$model".[123]; done | awk "$class"'
        { key = $1 " " $2; rank = class == "lost" ? 2 : class == "recovered"; target[key] = $4
          if (!(key in worst)) keys[++count] = key
          if (rank > worst[key] + 0) worst[key] = rank; else worst[key] += 0 }
        END { for (i = 1; i <= count; i++) if (worst[keys[i]])
                  print keys[i], worst[keys[i]] == 2 ? "lost" : "recovered", target[keys[i]] }' > "$work/expected"
    {
        echo '# Experiments of the fixed set that showed themselves: model, index, what became of them at the worst of'
        echo '# three moments, target. tests/e2e/faults.sh --write writes this file.'
        cat "$work/expected"
    } > "$expected"
    awk '!/^#/ { count[$3]++ } END { print count["recovered"] " recovered, " count["lost"] " lost" }' "$expected"
    exit 0
fi

count=$((${FAULTS:-999} / ${#models[@]}))
for model in "${models[@]}"; do
    run_model "$model" $count 1 "$model"
    sed -n '/^strict/p; /^speed/p' "$work/$model.report" | sed "s/^/$model, /"
done
cat "${models[@]/#/$work/}" > "$work/now"

# Recovery leaves nothing in use: of all that were recovered, eight in ten at least. What is printed is what it leaves.
for model in "${models[@]}"; do
    sqlite3 "$work/$model.db" "select residue = '', '$model ' || idx || ', into ' || target || ', has left ' || residue
        from experiment where residue is not null"
done > "$work/residue"
sed -n 's/^0|//p' "$work/residue"
awk -F '|' '{ clean += $1 }
    END { printf "%d of %d that were recovered have left nothing\n", clean, NR; exit clean < 0.8 * NR }' \
    "$work/residue" || { echo 'faults: recovery leaves too much in use'; exit 1; }

# The same again, by one worker, is the same, to the instruction.
columns='idx, delay_switches, target, outcome, activated, cause, outcome_thesis, rounds, faults, recoveries,
    restarts, reloads, fault_ip,
    fault_address, fault_message, recovery_ns, place, phys, before, after'
run_model flip 4 1 again --workers 1
for name in flip again; do
    sqlite3 "$work/$name.db" "select $columns from experiment join change on idx = experiment where idx < 4" \
        > "$work/$name.rows"
done
[ "$(wc -l < "$work/again.rows")" -eq 4 ] && diff "$work/flip.rows" "$work/again.rows" ||
    { echo 'faults: the same experiments ended differently'; exit 1; }
timeout $guest_seconds "$delias" campaign replay "$work/again.db" 1 --json > "$work/replay" &&
    jq -e '.outcome == .recorded' "$work/replay" > /dev/null || { echo 'faults: a replay ended differently'; exit 1; }
echo 'ok: four experiments again, to the instruction; a replay'

# So are skipped instructions and blocks of the heap, in a campaign that is made of others.
for part in graphics write; do
    sed "s#\.\./\.\./#$root/configs/#" "configs/campaigns/thesis/$part.yaml" > "$work/$part.yaml"
    printf 'targets: [heap, "symbol:heap.heap_alloc", "symbol:scheduler.run_next"]\n' > "$work/targets"
    sed -i -e "/^targets:/r $work/targets" -e '/^targets:$/d' -e '/^  - /d' "$work/$part.yaml"
done
printf 'parts: [graphics.yaml, write.yaml]\nseed: 5\ncount: 58\n' > "$work/two.yaml"
for name in two same; do
    timeout $guest_seconds "$delias" campaign run "$work/two.yaml" -o "$work/$name.db" --workers 2 > /dev/null \
        2> "$work/two.log" < /dev/null || { tail -n 5 "$work/two.log"; exit 1; }
    sqlite3 "$work/$name.db" "select part, model, kind, $columns from experiment join change on idx = experiment" \
        > "$work/$name.rows"
done
[ "$(wc -l < "$work/two.rows")" -eq 58 ] && diff "$work/two.rows" "$work/same.rows" > "$work/diff" ||
    { head -n 5 "$work/diff"; echo 'faults: the same experiments of two parts ended differently'; exit 1; }
[ "$(sqlite3 "$work/two.db" "select count(distinct part), count(distinct model), sum(activated) > 0,
    sum(model = 'skip' and kind <> 'text'), sum(kind = 'heap') > 0 from experiment")" = '2|3|1|0|1' ] ||
    { echo 'faults: parts, models and kinds are not as they should be'; exit 1; }
timeout $guest_seconds "$delias" campaign replay "$work/two.db" 51 --json > "$work/replay" &&
    jq -e '.outcome == .recorded' "$work/replay" > /dev/null || { echo 'faults: a replay of a part'; exit 1; }
echo 'ok: two parts, three models, again, to the instruction'

awk "$class"'
    FNR == NR { if (!/^#/) was[$1 " " $2] = $3; next }
    { n[class]++
      if (was[$1 " " $2] != "recovered" || class != "lost") next
      print "lost, and was recovered before: " $1 ".yaml, experiment " $2 ", into " $4 ": " $3; lost++ }
    END { printf "%d recovered, %d lost, %d without effect\n", n["recovered"], n["lost"], n["benign"]; exit lost > 0 }
' "$expected" "$work/now" || {
    echo 'faults: if that is as it should be, look at each, and then tests/e2e/faults.sh --write'
    exit 1
}
echo 'faults: all passed'

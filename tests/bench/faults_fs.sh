#!/usr/bin/env bash
# memory_fs under faults in its text and that of the cells below it (test_faults_fs): FAULTS experiments (30,000 by
# default), numbered from 0, in machines of SLICE each, JOBS machines side by side. Goes on where it was. One that loses
# something ends its machine; the next one begins on another. Writes build/faults_fs/rows.tsv and a table.
#   faults_fs.sh [SEED]
set -eu
cd "$(dirname "$0")/../.."
. tests/lib.sh

seed=${1:-1} faults=${FAULTS:-30000} slice=${SLICE:-250} jobs=${JOBS:-2}
folder=build/faults_fs/seed$seed
cpu_seconds=100 # of a machine that stands still: a slice takes 30
mkdir -p "$folder"

# run_slice FIRST: all of its experiments, in as many machines as it takes, into $folder/FIRST.log
run_slice() {
    local first=$1 end=$(($1 + slice)) log=$folder/$1.log
    [ $end -le $faults ] || end=$faults
    : > "$log.part"
    while [ "$first" -lt $end ]; do
        local words="app=test_faults_fs on_panic=exit wait_seconds=20 first=$first count=$((end - first)) seed=$seed"
        (ulimit -t $cpu_seconds; guest_run build/delias.elf build/tests/guest.archive "$words" 1 "$log.serial" \
            -icount shift=0,sleep=off -rtc clock=vm) || true
        tr -d '\r' < "$log.serial" > "$log.$first"
        echo "MACHINE first=$first count=$((end - first)) seed=$seed" >> "$log.part"
        cat "$log.$first" >> "$log.part"
        local last
        last=$(sed -n 's/.*EXPERIMENT \([0-9]*\) .*/\1/p' "$log.$first" | tail -n 1)
        if [ -z "$last" ]; then echo "no experiment ran from $first on" >&2; return 1; fi
        rm -f "$log.$first"
        first=$((last + 1))
    done
    rm -f "$log.serial"
    mv "$log.part" "$log"
}

for ((first = 0; first < faults; first += slice)); do
    [ -e "$folder/$first.log" ] || echo $first
done | {
    while read -r first; do
        while [ "$(jobs -rp | wc -l)" -ge "$jobs" ]; do wait -n; done
        run_slice "$first" &
    done
    wait
}

# A row for each experiment; one without an end took the machine with it.
rows=build/faults_fs/rows.tsv
cat "$folder"/*.log | awk -v OFS='\t' '
    function row() {
        if (number == "") return
        print number, operation, model, cell, place, activated, faults, begun, action, end, boot
        number = ""
    }
    / EXPERIMENT / { row(); sub(/.*EXPERIMENT /, ""); number = $1; operation = $2; model = $3; cell = $4; place = $5
                     activated = 1; faults = "-"; begun = "-"; action = "-"; end = "MACHINE" }
    / END [0-9]/ && number != "" { sub(/.*END /, ""); gsub(/[:,]/, "")
                     end = $2; activated = $4; faults = $6; begun = $8; action = $13; row() }
    /^MACHINE/ { row(); boot = $2 }
    END { row() }' | sort -n > $rows

awk -F '\t' '
    function add(key) {
        injected[key]++; activated[key] += $6
        manifested[key] += shows = $6 && ($7 != "0" || $8 != "1" || $10 != "right")
        recovered[key] += shows && $10 == "right"
        lost[key] += $10 == "lost" || $10 == "extra" || $10 == "MACHINE" || $10 == "UNREADABLE"
        wrong[key] += $10 == "wrong" || $10 == "PARTIAL" || $10 == "DELIVERED"
        other[key] += $10 == "HUNG" || $10 == "OPEN" || $10 == "REFUSED"
    }
    { add($3); add("in all"); models[$3] }
    function line(key) {
        return sprintf("| %s | %d | %d | %d | %d | %d | %d | %d |", key, injected[key], activated[key], manifested[key],
            recovered[key], lost[key], wrong[key], other[key])
    }
    END {
        print "| model | injected | activated | manifested | recovered | files lost | contents wrong | did not end |"
        print "|---|---|---|---|---|---|---|---|"
        for (m in models) print line(m) | "sort"
        close("sort")
        print line("in all")
    }' $rows
awk -F '\t' '$10 != "right"' $rows > build/faults_fs/lost.tsv
echo
lost=build/faults_fs/lost.tsv
echo "$(wc -l < $lost) lost something, each with the machine that it was on: $lost"
[ ! -s build/faults_fs/lost.tsv ]

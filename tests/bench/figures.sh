#!/usr/bin/env bash
# Figure 9.1 of the thesis for its case studies (9.1.1 channel, 9.1.2 scheduler, 9.1.4 apic): how long each step of a
# swap takes, with the critical part shaded, and what a user waits meanwhile who sends messages through channels. Writes
# CASE.svg, CASE.json, and CASE.tsv with every swap (docs/figures.md). What depends on the cells is counted in the
# default machine.
#   FIGURES_RUNS=1000         swaps of each case on each machine, there and back; an odd number is one less than done
#   FIGURES_CPUS="1 2 4"      machines
#   FIGURES_CASES="channel scheduler apic"
#   FIGURES_OUT=build/figures
#   FIGURES_ACCEL=auto        kvm: in real time, on delias-vmm. tcg: in instructions of all CPUs, each a nanosecond, the
#                             same on any host. auto: kvm where it works
set -eu
cd "$(dirname "$0")/../.."
. tests/lib.sh
runs=${FIGURES_RUNS:-1000} cpus=${FIGURES_CPUS:-1 2 4} cases=${FIGURES_CASES:-channel scheduler apic}
out=${FIGURES_OUT:-build/figures} accel=${FIGURES_ACCEL:-auto}
refuse() { echo "figures: $*" >&2; exit 2; }
[[ $runs =~ ^[1-9][0-9]*$ && $runs -gt 1 ]] || refuse "FIGURES_RUNS=$runs: there and back are 2 swaps or more"
for n in $cpus; do
    [[ $n =~ ^([1-9]|1[0-6])$ ]] || refuse "FIGURES_CPUS: no machine has $n CPUs"
done
for case in $cases; do
    case $case in channel | scheduler | apic) ;; *) refuse "FIGURES_CASES: there is no case $case" ;; esac
done
runs=$((runs + runs % 2))
case $accel in
    auto) if kvm_works; then accel=kvm; else accel=tcg; fi ;;
    kvm | tcg) ;;
    *) refuse "FIGURES_ACCEL=$accel: auto, kvm or tcg" ;;
esac
work=$(mktemp -d)
machine=figures$$
export XDG_RUNTIME_DIR=$work/run
trap 'build/bin/delias stop $machine > /dev/null 2>&1 || true; rm -rf "$work"' EXIT
mkdir -p -m 700 "$XDG_RUNTIME_DIR"
mkdir -p "$out"
guest_seconds=$((guest_seconds + 20 * runs))

boot() { # CASE CPUS LOG
    local words="app=bench_swap bench=$1 swaps=$runs on_panic=exit" n=$2 log=$3
    if [ "$accel" = kvm ]; then
        timeout $guest_seconds build/bin/delias-vmm --cpus "$n" --ram $((64 << 20)) --kernel build/delias.elf \
            --archive build/tests/guest.archive --append "$words" --serial-log "$log"
    else
        timeout $guest_seconds qemu-system-x86_64 -accel tcg,thread=single -icount shift=0,sleep=off -rtc clock=vm \
            -cpu max -smp "$n" -m 64M -kernel build/delias.elf -initrd build/tests/guest.archive -append "$words" \
            -display none -serial "file:$log" -device isa-debug-exit,iobase=0xf4 -no-reboot
    fi
}

# A line a swap: CPUs, what one has afterwards, and in nanoseconds the steps, the whole, the pause, the user.
columns='stage verify scan wait park transfer relocate publish'
measure() { # CASE CPUS
    local log=$work/$1.$2
    boot "$1" "$2" "$log" > "$work/out" 2>&1 || true
    if ! grep -aq 'TEST bench_swap: done' "$log"; then
        echo "figures: $1 on $2 CPUs has failed:" >&2
        tail -n 5 "$log" "$work/out" >&2
        return 1
    fi
    tr -d '\r' < "$log" | grep -a "^BENCH $1 " | awk -v cpus="$2" -v columns="$columns" '{
        delete value
        for (i = 4; i <= NF; i++) { split($i, word, "="); value[word[1]] = word[2] }
        line = cpus "\t" $3
        rest = value["total"]
        n = split(columns, name, " ")
        for (i = 1; i <= n; i++) { line = line "\t" value[name[i]] + 0; rest -= value[name[i]] }
        print line "\t" rest "\t" value["total"] "\t" value["pause"] "\t" value["user"] "\t" value["alone"]
    }' >> "$out/$1.tsv"
}

# Once the workload runs, which is loaded last.
list_dependencies() {
    build/bin/delias run configs/machines/default.yaml --name $machine --detach > "$work/out"
    wait_until runs_workload
    build/bin/delias deps $machine --json > "$work/edges"
    build/bin/delias stop $machine > "$work/out"
}
runs_workload() { [ "$(build/bin/delias counters $machine --json | jq .rounds)" -gt 0 ]; }

write_json() { # CASE
    jq -R -s --arg case "$1" --arg accel "$accel" --arg host "$(uname -srm)" --argjson runs "$runs" \
        --slurpfile edges "$work/edges" -f tests/bench/figures.jq < "$out/$1.tsv" > "$work/json"
    mv "$work/json" "$out/$1.json"
}

# Rows of numbers for gnuplot, in microseconds, and a script with what else differs between the cases.
draw() { # CASE
    local json=$out/$1.json
    # Row, number of the step, from, to: medians side by side.
    local boxes='.series | to_entries[] | .key as $row
        | [.value.steps | to_entries[] | select($all or .value.critical) | [.key + 1, .value.ns.median / 1000]]
        | reduce .[] as [$step, $width] ({at: 0, box: []}; .box += [[$row, $step, .at, .at + $width]] | .at += $width)
        | .box[] | @tsv'
    jq -r --argjson all true "$boxes" "$json" > "$work/whole"
    jq -r --argjson all false "$boxes" "$json" > "$work/critical"
    jq -r '.series | to_entries[] | .key as $row | .value | def sum(f): [.steps[] | select(f) | .ns.median] | add;
        sum(.stage == "i" or .stage == "ii" or .name == "wait") as $before
        | [$row] + ([$before, $before + sum(.critical), .critical.max, .user.median, .alone.median] | map(. / 1000))
        | @tsv' "$json" > "$work/rows"
    jq -r 'def quoted: "\"\(gsub("[\"\\\\]"; ""))\"";
        "work = \"'"$work"'\"; out = \"'"$out/$1.svg"'\"",
        "rows = \(.series | length); thesis = \((.thesis.critical_ns_median // .thesis.critical_ns_max // 0) / 1000)",
        "title = \("Figure 9.1, case \(.section): \(.title)" | quoted)",
        "subtitle = \("medians of \(.runs) swaps on each machine; \(.machine.accel), \(.machine.unit)" | quoted)",
        "limit = \(.thesis.text | quoted)",
        "set ytics (\([.series | to_entries[] | .key as $row | .value
            | "\("to \(.to), \(.cpus) CPU\(if .cpus == 1 then "" else "s" end)" | quoted) \($row)"] | join(", ")))",
        "array name[9] = [\([.series[0].steps[] | "(\(.stage)) \(.what)" | quoted] | join(", "))]"
        ' "$json" > "$work/case.gp"
    gnuplot "$work/case.gp" tests/bench/figures.gp
}

list_dependencies
for case in $cases; do
    : > "$out/$case.tsv"
    for n in $cpus; do
        measure "$case" "$n"
    done
    write_json "$case"
    draw "$case"
    jq -r 'def us: . / 1000 | round | "\(.) us"; "\(.section) \(.title); \(.thesis.text)",
        (.dependents | "  \(.edges) edges from \(.sections) functions and data of \(.cells) cells; directly or through "
        + "others \(.all) of \(.of) cells"),
        (.series[] | "  to \(.to), CPUs: \(.cpus); critical \(.critical.median | us), at most \(.critical.max | us), "
        + "of \(.total.median | us); user \(.user.median | us), without a swap \(.alone.median | us)")' \
        "$out/$case.json"
done
echo "figures: $out/*.svg and *.json: $runs swaps of each case on each machine, $accel"

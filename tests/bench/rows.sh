# Sourced by the parts of the benchmark, tests/bench/part_NAME.sh: how each writes its rows. BENCH_ROWS is the file that
# bench.sh collects them in.

# bench_row NAME UNIT VALUE [WORST [PEER PEER_VALUE]]: a measurement, `-` where there is none. Ratio: PEER_VALUE /
# VALUE, so that of two costs more than 1 means that the peer pays more.
bench_row() {
    jq -nc --arg name "$1" --arg unit "$2" --arg value "$3" --arg worst "${4:--}" --arg peer "${5:--}" \
        --arg peer_value "${6:--}" '
        def number: if . == "-" then null else tonumber end;
        def text: if . == "-" then null else . end;
        ($value | number) as $v | ($peer_value | number) as $p |
        {name: $name, unit: $unit, value: $v, worst: ($worst | number), peer: ($peer | text), peer_value: $p,
         ratio: (if $v and $p then ($p / $v * 100 | round / 100) else null end)}' >> "$BENCH_ROWS"
}

# Of numbers on stdin, one a line: the middle one (the lower of two), the greatest one.
bench_median() { sort -n | awk '{ v[NR] = $1 } END { print NR ? v[int((NR + 1) / 2)] : "-" }'; }
bench_worst() { sort -n | awk 'END { print NR ? $1 : "-" }'; }

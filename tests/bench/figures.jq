# CASE.tsv of tests/bench/figures.sh to CASE.json: statistics of each step, in nanoseconds, beside what the thesis says,
# and what depends on the cells of the case, from the dependencies of a running machine ($edges).
def stats: sort as $s | ($s | length) as $n
    | {min: $s[0], q1: $s[($n - 1) / 4 | round], median: $s[($n - 1) / 2 | floor], q3: $s[3 * ($n - 1) / 4 | round],
       max: $s[-1], mean: (add / $n)};
def steps: [
    {name: "stage", stage: "i", critical: false, what: "load the new cells apart"},
    {name: "verify", stage: "ii", critical: false, what: "pair, check edges, types, data"},
    {name: "scan", stage: "ii", critical: false, what: "find words of memory"},
    {name: "wait", stage: "iii", critical: false, what: "wait until nobody is inside"},
    {name: "park", stage: "iii", critical: true, what: "park CPUs, scan stacks"},
    {name: "transfer", stage: "iii", critical: true, what: "transfer state"},
    {name: "relocate", stage: "iii", critical: true, what: "rewrite edges and words, move symbols"},
    {name: "publish", stage: "iv", critical: false, what: "release CPUs"},
    {name: "rest", stage: "iv", critical: false, what: "log, hash again"}
];
def cases: {
    channel: {section: "9.1.1", cells: ["channel"], title: "channels with a buffer or with a rendezvous",
        thesis: {figure: "9.1(a)", critical_ns_median: 385000, text: "thesis: 385 us, median"}},
    scheduler: {section: "9.1.2", cells: ["scheduler", "run_queue"], title: "scheduling in turns or by priorities",
        thesis: {figure: "9.1(b)", text: "thesis: no downtime"}},
    apic: {section: "9.1.4", cells: ["apic", "ioapic", "ipi", "shootdown"], title: "interrupts by one cell or by four",
        thesis: {figure: "9.1(d)", critical_ns_max: 1300000, dependents_min: 25, text: "thesis: below 1300 us"}}
};
def cell: split(":")[0];
# The cells, and all that depend on them directly or through others; each pair of cells is {from, to}.
def closure($pairs): . as $cells
    | ([$pairs[] | select(.to | IN($cells[])) | .from] + $cells | unique) as $more
    | if ($more | length) == ($cells | length) then $cells else $more | closure($pairs) end;
def dependents($cells): [.[] | select((.from | cell) != (.to | cell))] as $edges
    | ([$edges[] | {from: (.from | cell), to: (.to | cell)}] | unique) as $pairs
    | [$edges[] | select((.to | cell | IN($cells[])) and (.from | cell | IN($cells[]) | not))] as $direct
    | {edges: ($direct | length), sections: ([$direct[].from] | unique | length),
       cells: ([$direct[].from | cell] | unique | length),
       all: (($cells | closure($pairs) | length) - ($cells | length)),
       of: (([.[] | .from, .to | cell] | unique | length) - ($cells | length))};
(steps | length) as $steps
| def column($i): map(.[$i]) | stats;
  def sum_of(f): map([.[2:] as $values | range($steps) | select(steps[.] | f) | $values[.]] | add) | stats;
  [split("\n")[] | select(. != "") | split("\t") | map(tonumber? // .)]
| group_by(.[0:2]) as $groups
| {format: "delias-figure", version: 1, case: $case} + cases[$case]
| .cells as $cells
| .dependents = ($edges[0] | dependents($cells))
| .thesis.machine = "Intel NUC 6i7KYK, 2.6 GHz, 4 cores"
| . + {
    runs: $runs,
    machine: {accel: $accel, host: $host, ram: "64M",
        unit: (if $accel == "tcg" then "1 ns is an instruction of any CPU" else "ns" end)},
    series: ($groups | map({
        cpus: .[0][0], to: .[0][1], swaps: length,
        steps: [range($steps) as $step | steps[$step] + {ns: column(2 + $step)}],
        stages: (. as $swaps | ["i", "ii", "iii", "iv"]
            | map(. as $stage | {key: $stage, value: ($swaps | sum_of(.stage == $stage))}) | from_entries),
        critical: sum_of(.critical),
        total: column(2 + $steps),
        pause: column(3 + $steps),
        user: column(4 + $steps),
        alone: column(5 + $steps)
    }))
}

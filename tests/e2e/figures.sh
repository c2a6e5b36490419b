#!/usr/bin/env bash
# The figures of the case studies, from four swaps each: every case is drawn, its JSON has all keys, steps add up to
# stages and to the whole, and the critical part and the pause are where they must be. Wrong settings are refused.
set -u
cd "$(dirname "$0")/../.."
. tests/lib.sh
command -v qemu-system-x86_64 > /dev/null || { echo 'figures: needs QEMU'; exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() { echo "figures: $*"; cat "$work/log"; exit 1; }
figures() { env FIGURES_OUT="$work/out" FIGURES_ACCEL=tcg "$@" tests/bench/figures.sh > "$work/log" 2>&1; }
refuses() { # SETTING WORDS
    figures "$1" && fail "$1 is taken"
    grep -q "$2" "$work/log" || fail "$1: no reason"
    [ ! -e "$work/out" ] || fail "$1: something was written"
}

refuses FIGURES_RUNS=1 '2 swaps or more'
refuses FIGURES_RUNS=many '2 swaps or more'
refuses FIGURES_CPUS=17 'no machine has 17'
refuses FIGURES_CASES=network 'no case network'
refuses FIGURES_ACCEL=xen 'auto, kvm or tcg'

figures FIGURES_RUNS=3 FIGURES_CPUS=2 || fail 'not drawn'
for case in channel scheduler apic; do
    json=$work/out/$case.json
    [ "$(wc -l < "$work/out/$case.tsv")" -eq 4 ] || fail "$case: other than two swaps each way"
    jq -e --arg case "$case" '
        def about($a; $b): ($a - $b) * ($a - $b) < 4;
        def whole: has("min") and has("q1") and has("median") and has("q3") and has("max") and has("mean")
            and .min > 0 and .min <= .q1 and .q1 <= .median and .median <= .q3 and .q3 <= .max;
        .format == "delias-figure" and .version == 1 and .case == $case and .runs == 4
        and (.section | test("^9.1.[124]$")) and (.title | length > 9) and (.thesis.figure | test("^9.1"))
        and (.thesis | has("machine") and has("text")) and .machine.accel == "tcg"
        and (.machine | has("host") and has("unit"))
        and (.dependents | .edges >= .sections and .sections >= .cells and .cells > 0 and .all >= .cells
            and .of >= .all)
        and ([.dependents.edges, .dependents.all] | min) >= (.thesis.dependents_min // 0)
        and ([.series[].swaps] | add) == 4 and (.series | length) == 2 and (.series | all(
            .cpus == 2 and (.to | length > 2)
            and ([.steps[].name | tostring] | join(" ")) == "stage verify scan wait park transfer relocate publish rest"
            and ([.steps[] | select(.critical) | .name] == ["park", "transfer", "relocate"])
            and ([.steps[].ns, .total, .critical, .pause, .user, .alone, .stages[]] | all(whole))
            and about([.steps[].ns.mean] | add; .total.mean)
            and about([.stages[].mean] | add; .total.mean)
            and about([.steps[] | select(.critical) | .ns.mean] | add; .critical.mean)
            and .critical.max < .total.min and .critical.min <= .pause.max and .user.median > .critical.min))
    ' "$json" > /dev/null || { jq -c '.series[]' "$json"; fail "$case.json is not as described"; }
    for text in '</svg>' "Figure 9.1, case $(jq -r .section "$json")" 'critical part, us' 'to .*, 2 CPUs' \
        "$(jq -r .thesis.text "$json")" 'user, during the swap'; do
        grep -q "$text" "$work/out/$case.svg" || fail "$case.svg lacks $text"
    done
done
awk -F '\t' '{ sum = 0; for (i = 3; i <= 11; i++) { sum += $i; if ($i <= 0) exit 1 } if (sum != $12) exit 1 }' \
    "$work"/out/*.tsv || fail 'the steps of a swap do not add up'
# callers of the channel wait at gates meanwhile: not until a tick
jq -e '.series | all(.steps[3].ns.median < 5000000)' "$work/out/channel.json" > /dev/null || fail 'channel: a long wait'
jq -e '.series | all(.critical.max < 300000)' "$work/out/apic.json" > /dev/null || fail 'apic: longer than 300 us'
echo 'ok: three figures, and numbers that add up'

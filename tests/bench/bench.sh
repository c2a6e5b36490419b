#!/usr/bin/env bash
# Measurements, each beside its peer from the same run where it has one.
#   bench.sh [PART...]   runs tests/bench/part_PART.sh (all of them when none is named), prints a table, and writes
#                        build/bench.json: rows of name, unit, value, worst, peer, peer_value, ratio
# Times taken under emulation are not times: parts count instructions there, or report ratios. BENCH_ACCEL (auto, kvm or
# tcg) chooses the hypervisor where a part leaves that open.
set -eu
cd "$(dirname "$0")/../.."
rows=$(mktemp)
trap 'rm -f "$rows"' EXIT

if [ $# -eq 0 ]; then
    for part in tests/bench/part_*.sh; do
        part=${part##*/part_}
        set -- "$@" "${part%.sh}"
    done
fi
failed=0
for part in "$@"; do
    echo "== $part"
    BENCH_ROWS=$rows bash "tests/bench/part_$part.sh" || { echo "bench: $part failed" >&2; failed=1; }
done
mkdir -p build
jq -s . "$rows" > build/bench.json
echo
jq -r '["what", "value", "worst", "unit", "peer", "its value", "ratio"],
       (.[] | [.name, .value, .worst, .unit, .peer, .peer_value, .ratio] | map(. // "-" | tostring)) | join("\t")' \
    build/bench.json | column -t -s "$(printf '\t')" -R 2,3,6,7
exit $failed

#!/usr/bin/env bash
# The thirteen faults of the thesis (§9.2.1), into the sending and the receiving side of both channels on 1, 2 and 4
# CPUs, and how long each channel was down (Table 9.2). A minute of the guest's time lies between two faults, so that
# each is recovered by itself. In instructions of all CPUs: one is one nanosecond there. Writes build/faults13.tsv.
#   faults13.sh [CPUS...]
set -eu
cd "$(dirname "$0")/../.."
. tests/bench/rows.sh
rows=build/faults13.tsv
[ $# -gt 0 ] || set -- 1 2 4

printf 'cpus\tchannel\tside\tfault\tfaults\taction\tdown\n' > $rows
for cpus in "$@"; do
    APART=61 TEST_PATIENCE=${TEST_PATIENCE:-4} tests/guest/run.sh test_thirteen "$cpus"
    tr -d '\r' < "build/tests/log/test_thirteen.$cpus.serial" |
        sed -n 's/.*RECOVERED [0-9]*: //p' | sed 's/: \([0-9]*\) faults, /, \1, /; s/ again after \([0-9]*\) ns/ \1/' |
        sed "s/^/$cpus, /; s/, /\t/g" >> $rows
done

# The downtime where neither side sleeps: of the faults that come when a message is sent or received.
down() { # CHANNEL FAULT CPUS
    awk -F '\t' -v channel="$1" -v fault="$2" -v cpus="$3" \
        '$1 == cpus && $2 == channel && $4 == fault { print $7 }' $rows
}
echo
echo "faults that were recovered, of 26: 13 for each side"
for channel in async rendezvous; do
    for cpus in "$@"; do
        printf '  %-10s %s CPUs: %s\n' $channel "$cpus" \
            "$(awk -F '\t' -v c=$channel -v n="$cpus" '$1 == n && $2 == c' $rows | wc -l)"
    done
done
echo "thesis: 11 of 13; MINIX 3: none"
echo
echo "downtime in thousands of instructions: from the fault to the next message through a new channel, both sides"
printf '  %-12s %-8s %-5s %10s %10s   %s\n' channel recovery CPUs lower higher 'thesis, on a NUC with 2.6 GHz'
while read -r channel recovery value fault; do
    for cpus in "$@"; do
        printf '  %-12s %-8s %-5s %10s %10s   %s\n' "$channel" "$recovery" "$cpus" \
            $(down "$channel" "$fault" "$cpus" | sort -n | awk '{ printf "%.0f ", $1 / 1000 }') "$value ms"
    done
done <<< 'rendezvous restart 0.475 pointer to the message
rendezvous reload 8.214 text byte at entry
async restart 0.587 pointer to the message
async reload 6.072 text byte at entry'

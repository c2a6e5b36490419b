#!/usr/bin/env bash
# What lookups, loads, swaps and unloads cost with 100 to 10,010 cells loaded, and with 1 to 4,096 edges touched:
# records looked at, which are counted, and times of the hosted loader. All rows go to build/scale.tsv, and are drawn in
# build/scale.svg.
set -eu
cd "$(dirname "$0")/../.."
. tests/bench/rows.sh
make --no-print-directory build/tests/delias-tests
rm -f build/scale.tsv
CK_RUN_SUITE=scale SCALE_ROWS=build/scale.tsv build/tests/delias-tests > build/scale.log ||
    { cat build/scale.log; exit 1; }

cell() { awk -v what="$1" -v n="$2" -v column="$3" '$1 == what && $2 == n { print $column }' build/scale.tsv; }
column=3
for name in 'lookup of a symbol' 'lookup of what is not there' 'lookup of an address' 'load of a cell with 10 edges' \
    'swap of a cell with 10 edges' 'unload of a cell with 10 edges'; do
    bench_row "$name, 10,010 cells" records "$(cell cells 10010 $column)" - 'with 100 cells' "$(cell cells 100 $column)"
    bench_row "$name, 10,010 cells" ns "$(cell cells 10010 $((column + 1)))" - 'with 100 cells' \
        "$(cell cells 100 $((column + 1)))"
    column=$((column + 2))
done
gnuplot << 'END'
set terminal svg size 1200,500
set output 'build/scale.svg'
set multiplot layout 1,2
set logscale xy
set ylabel 'records looked at'
set key top left
set yrange [1:1000000]
set xlabel 'cells loaded'
plot for [i=0:5] '< grep ^cells build/scale.tsv' using 2:(column(3+2*i)) with linespoints \
    title word('symbol missing address load swap unload', i+1)
set xlabel 'edges touched, 10,010 cells loaded'
plot for [i=3:5] '< grep ^edges build/scale.tsv' using 2:(column(3+2*i)) with linespoints \
    title word('symbol missing address load swap unload', i+1)
END

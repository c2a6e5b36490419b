# Draws one case: the file before this one sets work, out, rows, thesis, title, subtitle, limit, name, ytics.
# Heights in pixels: of the title, a panel without and with its axis, the legend.
title_height = 50.0; plot_height = 22.0 * rows; panel_height = plot_height + 64; legend_height = 110.0
height = title_height + 3 * panel_height + legend_height
at(y) = 1 - y / height
set terminal svg size 1000, height font "sans-serif,12" background "#ffffff"
set output out
array color[9] = [0x9ecae1, 0x6baed6, 0x3182bd, 0xfdd0a2, 0xfd8d3c, 0xe6550d, 0xa63603, 0xa1d99b, 0x31a354]
whole = work . "/whole"; critical = work . "/critical"; each = work . "/rows"
stats each using 4 nooutput

set yrange [rows - 0.4 : -0.6]
set ytics scale 0 nomirror
set border 3
set xtics nomirror
set grid xtics lc "#dddddd"
set style fill solid noborder
set lmargin 20
set rmargin 4
set multiplot
set label 1 title at screen 0.02, screen at(16) font ",15"
set label 2 subtitle at screen 0.02, screen at(36) textcolor "#555555"

set tmargin at screen at(title_height + 0 * panel_height + 14)
set bmargin at screen at(title_height + 0 * panel_height + 14 + plot_height)
set xlabel "whole swap, us (its critical part is shaded)" offset 0, 0.5
set xrange [0 : *]
unset key
plot each using (($2 + $3) / 2):1:2:3:($1 - 0.48):($1 + 0.48) with boxxyerror lc "#bbbbbb", \
     for [s = 1:9] whole using ($2 == s ? ($3 + $4) / 2 : NaN):1:3:4:($1 - 0.3):($1 + 0.3) \
         with boxxyerror lc rgb color[s]
unset label 1
unset label 2

set tmargin at screen at(title_height + 1 * panel_height + 14)
set bmargin at screen at(title_height + 1 * panel_height + 14 + plot_height)
set xlabel "critical part, us: median, and a mark at the longest" offset 0, 0.5
set object 1 rectangle from graph 0, 0 to graph 1, 1 behind fillcolor "#eeeeee" fillstyle solid noborder
set xrange [0 : 1.05 * (STATS_max > thesis ? STATS_max : thesis)]
if (thesis > 0) {
    set arrow 1 from thesis, graph 0 to thesis, graph 1 nohead lc "#cc0000" dt 2 lw 2
    set label 3 limit at thesis, graph 1.0 right offset -0.5, 0.6 textcolor "#cc0000"
} else {
    set label 3 limit at graph 1.0, graph 1.0 right offset -0.5, 0.6 textcolor "#cc0000"
}
plot for [s = 1:9] critical using ($2 == s ? ($3 + $4) / 2 : NaN):1:3:4:($1 - 0.3):($1 + 0.3) \
         with boxxyerror lc rgb color[s], \
     each using 4:1 with points pt 2 ps 0.8 lc "#000000"
unset arrow 1
unset label 3
unset object 1

set tmargin at screen at(title_height + 2 * panel_height + 14)
set bmargin at screen at(title_height + 2 * panel_height + 14 + plot_height)
set xlabel "longest round trip of a user through channels, us" offset 0, 0.5
set xrange [0 : *]
plot each using ($5 / 2):($1 - 0.18):(0):5:($1 - 0.33):($1 - 0.03) with boxxyerror lc "#756bb1", \
     each using ($6 / 2):($1 + 0.18):(0):6:($1 + 0.03):($1 + 0.33) with boxxyerror lc "#bcbddc"

# The legend, in a panel of its own.
unset xlabel; unset xtics; unset ytics; unset border; unset grid
set lmargin 3
set tmargin at screen at(height - legend_height + 4)
set bmargin at screen at(height - 6)
set xrange [0 : 3]
set yrange [4 : 0]
do for [s = 1:9] {
    x = (s - 1) / 3; y = (s - 1) % 3 + 0.5
    set object 10 + s rectangle from x, y - 0.3 to x + 0.06, y + 0.3 fillcolor rgb color[s] fillstyle solid noborder
    set label 10 + s name[s] at x + 0.09, y
}
set object 20 rectangle from 0, 3.2 to 0.06, 3.8 fillcolor "#756bb1" fillstyle solid noborder
set label 20 "user, during the swap" at 0.09, 3.5
set object 21 rectangle from 1, 3.2 to 1.06, 3.8 fillcolor "#bcbddc" fillstyle solid noborder
set label 21 "user, another task busy for as long" at 1.09, 3.5
plot NaN notitle
unset multiplot

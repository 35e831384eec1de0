set terminal svg size 800,420 noenhanced font "sans-serif,13" background "white"
set output "age.svg"
set title "Memory that a page takes while nobody uses it"
set border 3
set tics nomirror out
set grid ytics lc rgb "#e0e0e0"
set key outside right top
set xlabel "seconds since the pages were swapped out"
set yrange [0:*]
set ylabel "bytes of memory for a page, with all metadata"
$plot0 << END
0 1240
10 1240
60 1240
END
$plot1 << END
0 1240
10 1240
60 741.5
END
plot $plot0 using 1:2 with linespoints pt 7 ps 0.6 lw 2 lc rgb "#cc79a7" title "ramzswap-hot", \
	$plot1 using 1:2 with linespoints pt 7 ps 0.6 lw 2 lc rgb "#0072b2" title "ramzswap"
set terminal svg size 800,420 noenhanced font "sans-serif,13" background "white"
set output "capacity.svg"
set title "Data written before the out-of-memory killer came"
set border 3
set tics nomirror out
set grid ytics lc rgb "#e0e0e0"
set key outside right top
set ylabel "data written, in times of RAM"
set style data histograms
set style histogram errorbars gap 1.5 lw 1
set style fill solid 0.9
set yrange [0:*]
$d << END
"512M" 2 2 2 2.5 2 3
"2G" 2 2 2 2.5 2 3
END
plot $d using 2:3:4:xtic(1) title "mainline-zram" lc rgb "#e69f00", \
	$d using 5:6:7:xtic(1) title "ramzswap" lc rgb "#0072b2"
set terminal svg size 800,380 noenhanced font "sans-serif,13" background "white"
set output "frees.svg"
set title "Memory held after a burst of frees"
set border 3
set tics nomirror out
set grid ytics lc rgb "#e0e0e0"
set key outside right top
set xlabel "ms since half of the objects were freed"
set xrange [-50:*]
set yrange [0:1.05]
set ylabel "pages held, of those before"
$plot0 << END
-50 1
0 1
100 1
1000 0.9
END
$plot1 << END
-50 1
0 1
100 0.7
1000 0.6
END
plot $plot0 using 1:2 with linespoints pt 7 ps 0.6 lw 2 lc rgb "#e69f00" title "zsmalloc", \
	$plot1 using 1:2 with linespoints pt 7 ps 0.6 lw 2 lc rgb "#0072b2" title "zbud"
set terminal svg size 800,640 noenhanced font "sans-serif,13" background "white"
set output "latency.svg"
set title ""
set border 3
set tics nomirror out
set grid ytics lc rgb "#e0e0e0"
set key outside right top
set multiplot layout 2,1
set logscale x
set format x "%.0s%c"
set xlabel "instructions of a fault"
set ylabel "faults within"
set ytics ("0 %%" -0, "50 %%" 0.301, "75 %%" 0.6021, "90 %%" 1, "99 %%" 2, "99.9 %%" 3)
set yrange [0:3.1]
set title "hot pages"
$hot0 << END
20000 0.30103
30000 2
90000 3
END
$hot1 << END
20000 0.30103
30000 2
90000 3
END
plot $hot0 using 1:2 with linespoints pt 7 ps 0.6 lw 2 lc rgb "#cc79a7" title "ramzswap-hot", \
	$hot1 using 1:2 with linespoints pt 7 ps 0.6 lw 2 lc rgb "#0072b2" title "ramzswap"
set title "cold pages"
$cold0 << END
20000 0.30103
30000 2
90000 3
END
$cold1 << END
40000 0.30103
60000 2
180000 3
END
plot $cold0 using 1:2 with linespoints pt 7 ps 0.6 lw 2 lc rgb "#cc79a7" title "ramzswap-hot", \
	$cold1 using 1:2 with linespoints pt 7 ps 0.6 lw 2 lc rgb "#0072b2" title "ramzswap"
unset multiplot
set terminal svg size 800,420 noenhanced font "sans-serif,13" background "white"
set output "writes.svg"
set title "Disk writes, by case of scripts/bench/aging.c"
set border 3
set tics nomirror out
set grid ytics lc rgb "#e0e0e0"
set key outside right top
set ylabel "MiB written to the disk"
set style data histograms
set style histogram errorbars gap 1.5 lw 1
set style fill solid 0.9
set yrange [0:*]
$d << END
"idle" 10 10 10 4 3 5
END
plot $d using 2:3:4:xtic(1) title "mainline-zswap" lc rgb "#999999", \
	$d using 5:6:7:xtic(1) title "ramzswap-backing" lc rgb "#009e73"

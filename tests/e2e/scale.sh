#!/usr/bin/env bash
# The host on a machine whose tables have grown with its RAM: 2,000 cells and 100 namespaces (tests/guest/tests/
# test_scale), or SCALE cells with SCALE_RAM of memory. Every verb that reads sees all of them, a swap works, and no
# record counts as damaged.
set -u
cd "$(dirname "$0")/../.."
. tests/lib.sh
cells=${SCALE:-2000}
host_begin scale
cat > "$work/machine.yaml" << END
name: $machine
accel: tcg
cpus: 1
ram: ${SCALE_RAM:-256M}
kernel: $PWD/build/delias.elf
archive: $PWD/build/tests/guest.archive
cmdline: "app=test_scale cells=$cells stay=1"
END

must 0 run "$work/machine.yaml" --detach --timeout "$wait_seconds"
log=$XDG_RUNTIME_DIR/delias/$machine/serial.log
wait_until grep -aq 'TEST test_scale: stays' "$log" || fail 'it does not get so far'

number() { jq "$1" "$work/out"; }
must 0 cells $machine --json
[ "$(number '[.[] | select(.name | test("^c[0-9]+$")) | select(.namespace == "root")] | length')" -eq "$cells" ] ||
    fail "it has not $cells cells"
[ "$(number '.[] | select(.name == "c'$((cells - 1))'") | select(.namespace == "root") | .dependencies')" -eq 10 ] ||
    fail 'the last cell does not need ten others'
[ ! -s "$work/err" ] || fail 'damage is reported'
must 0 deps $machine c$((cells - 1)) --json
[ "$(number length)" -eq 10 ] || fail 'the last cell has not ten edges'
must 0 ns $machine list
[ "$(grep -c ' n[0-9]\|^n[0-9]' "$work/out")" -ge 100 ] || fail 'it has not 100 namespaces'
must 0 verify $machine --json
[ "$(number '.differing | length')" -eq 0 ] || fail 'something differs'
[ "$(number .sections)" -gt $((2 * cells)) ] || fail 'not all sections are compared'
must 0 memory $machine --json
must 0 reload $machine c$((cells - 1)) --json
[ "$(counter swaps)" -gt 0 ] || fail 'nothing was swapped'
must 3 cell $machine nothing_like_it
[ "$(wc -c < "$work/err")" -lt 2000 ] || fail 'a message names every cell'
echo "ok: $cells cells and 100 namespaces are listed, verified and swapped from the host"

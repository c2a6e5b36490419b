#!/bin/bash
# What the lab's machine runs in place of init: each script of build/lab-scripts, one line of outcome for each. A script
# that hangs fails alone, with what runs in the machine at that time.
export PATH=/usr/bin:/bin:/usr/sbin:/sbin HOME=/root TERM=xterm LANG=C.UTF-8 DELIAS_LAB=1
cd /delias || exit
mkdir -p /tmp/run build/tests/log
chmod 700 /tmp/run
export XDG_RUNTIME_DIR=/tmp/run
exec 2>&1
echo "LAB: kernel $(uname -r), npt $(cat /sys/module/kvm_amd/parameters/npt)"
[ -c /dev/kvm ] || echo 'LAB: no /dev/kvm'

# A machine that stays, paused, whose second processor has not enabled its APIC. When the last such APIC goes, KVM
# patches its own code, and the QEMU around the lab now and then executes the breakpoint of that patch on both
# processors for ever.
read -r limit TEST_PATIENCE < build/lab-limit
export TEST_PATIENCE
. tests/lib.sh
stands_still() {
    printf '{"execute":"qmp_capabilities"}{"execute":"stop"}' |
        socat -t $wait_seconds - UNIX-CONNECT:/tmp/stays.qmp 2> /dev/null | grep -q STOP
}
build/bin/delias-vmm --kernel build/tests/probe.elf --archive /etc/passwd --append stays --cpus 2 --ram 67108864 \
    --qmp /tmp/stays.qmp > /dev/null 2>&1 < /dev/null &
stays=$!
wait_until stands_still || echo 'LAB: the machine that stays does not stand still'

passed=0
failed=0
while read -r script; do
    start=$SECONDS
    # shellcheck disable=SC2086
    timeout -k 20 "$limit" bash $script > /tmp/log 2>&1 < /dev/null
    status=$?
    if [ $status -eq 0 ]; then
        passed=$((passed + 1))
        echo "LAB: passed $script ($((SECONDS - start)) s)"
    elif [ $status -eq 77 ]; then
        passed=$((passed + 1))
        echo "LAB: skipped $script: $(tail -n 1 /tmp/log)"
    else
        failed=$((failed + 1))
        echo "LAB: FAILED $script (status $status, $((SECONDS - start)) s)"
        [ $status -lt 124 ] || ps -eo pid,stat,wchan:24,time,args | grep -v '\[.*\]$' >> /tmp/log
        sed 's/^/    /' /tmp/log
        pgrep delias-vmm | grep -vx $stays | xargs -r kill -9
    fi
done < build/lab-scripts
echo "LAB: done, $passed passed, $failed failed"
echo o > /proc/sysrq-trigger
sleep 10

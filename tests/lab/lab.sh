#!/bin/bash
# Runs test scripts on a real /dev/kvm inside an emulated machine: a Debian cloud kernel in QEMU TCG with emulated SVM.
# usage: tests/lab/lab.sh ['SCRIPT ARGUMENT ...' ...]     without scripts: those of tests/lab/list
# A script is judged by the line that the lab printed for it, not by QEMU's exit status.
set -euo pipefail
cd "$(dirname "$0")/../.."
. tests/lib.sh

lab=build/lab
programs='bash dash coreutils grep sed mawk findutils diffutils procps binutils jq socat tmux ncurses-bin perl-base'
modules='virtio_ring virtio virtio_pci_modern_dev virtio_pci_legacy_dev virtio_pci virtio_blk irqbypass kvm kvm-amd'

die() {
    echo "lab: $*" >&2
    exit 1
}

# The kernel comes as a package that is unpacked, not installed; the metapackage names it.
fetch_kernel() {
    local package sandbox=()
    [ -s $lab/vmlinuz ] && [ -d $lab/modules ] && return
    [ "$(id -u)" -ne 0 ] || sandbox=(-o APT::Sandbox::User=root)
    mkdir -p $lab/download
    package=$(apt-cache depends linux-image-cloud-amd64 2>/dev/null | awk '/Depends:/ { print $2; exit }')
    [ -n "$package" ] || die "no package linux-image-cloud-amd64 in apt's lists: run 'apt-get update' and try again"
    echo "lab: downloading $package (once; kept in $lab)"
    (cd $lab/download && rm -f ./*.deb && apt-get "${sandbox[@]}" -qq download "$package") ||
        die "$package can't be downloaded: check the network, run 'apt-get update' and try again"
    dpkg -x $lab/download/*.deb $lab/download/linux
    rm -rf $lab/modules
    mkdir $lab/modules
    for m in $modules; do
        find $lab/download/linux/lib/modules -name "$m.ko" -exec cp {} $lab/modules/ \;
        [ -f "$lab/modules/$m.ko" ] || die "$package has no module $m"
    done
    cp $lab/download/linux/boot/vmlinuz-* $lab/vmlinuz
    rm -rf $lab/download
}

# Programs, and the libraries that they load.
list_with_libraries() {
    printf '%s\n' "$@"
    { ldd "$@" 2>/dev/null || true; } | awk '/=> \// { print $3 } /^[[:space:]]*\/.*ld-linux/ { print $1 }' | sort -u
}

# Copies the files named on standard input to the same paths under $1; /bin and its like may be links to /usr.
copy_to() {
    local merged=none
    [ ! -L /bin ] || merged='\(bin\|sbin\|lib\|lib64\)'
    sed -n "s#^/##; s#^$merged/#usr/&#; /./p" | sort -u | tar -C / --dereference -cf - -T - | tar -C "$1" -xf -
}

# The user space: Debian's programs as they are installed here. Kept until this script changes.
make_base() {
    local base=$lab/base files
    [ ! $base/made -nt "$0" ] || return 0
    rm -rf $base
    mkdir -p $base/{proc,sys,dev,tmp,run,root,etc,usr/bin,usr/sbin,usr/lib,usr/lib64}
    for d in bin sbin lib lib64; do
        if [ -L /$d ]; then ln -s usr/$d $base/$d; else mkdir -p $base/$d; fi
    done
    # shellcheck disable=SC2086
    files=$(for p in $programs; do dpkg -L $p 2> /dev/null; done | grep -E '/s?bin/[^/]+$'; echo /usr/bin/awk)
    # shellcheck disable=SC2046,SC2086
    # shellcheck disable=SC2012
    list_with_libraries $(for f in $files; do [ ! -f $f ] || echo $f; done) | copy_to $base
    { ls -d /{usr/,}lib/terminfo/*/{linux,xterm,screen,tmux}* /usr/lib/locale/C.*/LC_* 2> /dev/null || true; } |
        copy_to $base
    echo 'root:x:0:0:root:/root:/bin/bash' > $base/etc/passwd
    touch $base/made
}

# The disk: the user space, this tree as far as tests need it, the names of the scripts.
make_disk() {
    local root=$lab/root
    make_base
    rm -rf $root $lab/root.img
    cp -a $lab/base $root
    mkdir -p $root/delias/build
    # shellcheck disable=SC2046
    list_with_libraries $(realpath build/bin/*) | grep -v ^"$PWD" | copy_to $root
    cp -a tests configs cells guest docs $root/delias/
    for f in bin delias.elf cells cells.archive cells.debug tests; do
        [ ! -e build/$f ] || cp -a build/$f $root/delias/build/
    done
    rm -rf $root/delias/build/tests/log $root/delias/build/tests/delias-tests
    printf '%s\n' "$@" > $root/delias/build/lab-scripts
    echo "$lab_script_seconds $lab_patience" > $root/delias/build/lab-limit
    mke2fs -q -t ext4 -O ^has_journal -d $root $lab/root.img $(($(du -sm $root | cut -f1) * 5 / 4 + 256))M > /dev/null
    rm -rf $root
}

make_initramfs() {
    local rd=$lab/rd
    rm -rf $rd
    mkdir -p $rd/{bin,proc,sys,dev,root,modules}
    cp "$(command -v busybox)" $rd/bin/busybox
    cp $lab/modules/*.ko $rd/modules/
    cat > $rd/init << EOF
#!/bin/busybox sh
/bin/busybox mount -t devtmpfs dev /dev
for m in $modules; do /bin/busybox insmod /modules/\$m.ko || echo "LAB: module \$m failed"; done
/bin/busybox mount -t ext4 /dev/vda /root || echo 'LAB: no disk'
/bin/busybox mount -t devtmpfs dev /root/dev
/bin/busybox mkdir -p /root/dev/pts /root/dev/shm
/bin/busybox mount -t devpts pts /root/dev/pts
/bin/busybox mount -t proc proc /root/proc
/bin/busybox mount -t sysfs sys /root/sys
/bin/busybox mount -t tmpfs tmp /root/tmp
exec /bin/busybox chroot /root /bin/bash /delias/tests/lab/inside.sh
EOF
    chmod +x $rd/init
    (cd $rd && find . | cpio -o -H newc --quiet) > $lab/rd.cpio
    rm -rf $rd
}

# One boot of the lab. Sets `status`; the console goes to $lab/console. Without nested paging: with it this QEMU now and
# then takes addresses of a machine for those of the lab's Linux, so that the one jumps to nowhere, or the other dies.
boot() {
    set +e
    timeout --foreground -k 30 $lab_seconds qemu-system-x86_64 -accel tcg,thread=multi -cpu max,+svm,-npt -machine q35 \
        -smp 2 -m 2G -nodefaults -display none -no-reboot -kernel $lab/vmlinuz -initrd $lab/rd.cpio \
        -append 'console=ttyS0 quiet loglevel=4 panic=-1 softlockup_panic=1 watchdog_thresh=30 mitigations=off' \
        -drive file=$lab/root.img,format=raw,if=virtio,cache=unsafe -serial stdio \
        < /dev/null 2> $lab/qemu.err | stdbuf -oL tr -d '\r' | tee $lab/console | grep --line-buffered -E '^(LAB|    )'
    status=${PIPESTATUS[0]}
    set -e
}

# What Linux said first of its end, or else its last line.
why_it_failed() {
    grep -m 1 -E 'BUG:|Oops|panic|general protection|watchdog:' $lab/console || tail -n 1 $lab/console
}

scripts=("$@")
[ $# -gt 0 ] || mapfile -t scripts < <(lab_scripts tests/lab/list)
for s in "${scripts[@]}"; do
    [ -f "${s%% *}" ] || die "$s: no such script; give paths from the top of the tree"
done
for tool in qemu-system-x86_64 busybox cpio mke2fs; do
    PATH=$PATH:/usr/sbin:/sbin command -v $tool > /dev/null || die "$tool: not installed; run 'make deps'"
done
PATH=$PATH:/usr/sbin:/sbin
[ -x build/bin/delias-vmm ] || die "build/bin/delias-vmm: not built; run 'make all'"
mkdir -p $lab
exec 9> $lab/lock
flock -n 9 || { echo 'lab: another one is running here; waiting for it'; flock 9; }
fetch_kernel
make_initramfs
left=("${scripts[@]}")
passed=0
failed=0
for attempt in 1 2 3; do
    make_disk "${left[@]}"
    boot
    closing=$(grep '^LAB: done' $lab/console || true)
    passed=$((passed + $(grep -cE '^LAB: (passed|skipped) ' $lab/console || true)))
    failed=$((failed + $(grep -c '^LAB: FAILED' $lab/console || true)))
    left=("${scripts[@]:$((passed + failed))}")
    # Nothing that a script does can end the machine around it without the closing line: that one failed itself.
    [ -z "$closing" ] && [ "$status" -ne 124 ] && [ $attempt -lt 3 ] || break
    cp $lab/console $lab/console.$attempt
    echo "lab: the outer QEMU or its Linux failed (status $status, $(why_it_failed))," \
        "see $lab/console.$attempt; going on with ${#left[@]} of ${#scripts[@]} scripts"
done
rm -f $lab/root.img
[ "$status" -ne 124 ] || die "not finished within $lab_seconds s; the console is in $lab/console"
[ -n "$closing" ] ||
    die "ended without a closing line (status $status); the console is in $lab/console, QEMU's words in $lab/qemu.err"
[ $passed -eq ${#scripts[@]} ] && [ $failed -eq 0 ] || die "$passed passed, $failed failed"
echo "lab: $passed scripts passed on $(sed -n 's/^LAB: kernel //p' $lab/console)"

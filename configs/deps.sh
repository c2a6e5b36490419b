#!/bin/sh
# Installs, from Debian by name, what the build and the tests need; does nothing where all is there.
set -eu

# package                reason
packages='
gcc                      compiles host and guest
libc6-dev                C library headers
binutils                 links cells and the image
git                      lists sources for the checks
pkg-config               finds the libraries
libelf-dev               cell objects
libdw-dev                DWARF: type hashes
libcapstone-dev          disassembly
libncurses-dev           the TUI
libyaml-dev              machine and campaign files
libvirt-dev              machines that libvirt runs
libjansson-dev           JSON: QMP and --json
libsqlite3-dev           campaign databases
sqlite3                  rows of campaigns in tests
check                    unit tests and the closing summary
clang                    fuzz targets, -Wthread-safety
clang-19                 a second -Wthread-safety, which sees more
libclang-rt-14-dev       libFuzzer and its sanitizers
clang-format             format check
cppcheck                 static analysis
qemu-system-x86          a machine without /dev/kvm, and the lab
seabios                  firmware of those machines
libvirt-daemon           runs machines in the tests
libvirt-daemon-driver-qemu its driver for QEMU
libvirt-clients          virsh, which steers them too
qemu-utils               snapshots of disks by libvirt
grub-common              the ISO
grub-pc-bin              the ISO on BIOS
grub-efi-amd64-bin       the ISO on UEFI
xorriso                  the ISO
mtools                   the ISO on UEFI
ovmf                     UEFI firmware under QEMU
bochs                    an independent machine for the ISO
bochs-term               a display, without which bochs is not installed
bochsbios                its BIOS
vgabios                  its video BIOS
tmux                     drives the TUI in the tests
gdb                      attaches to a guest under QEMU
busybox-static           user space of the lab
procps                   what hangs in the lab, and its end
cpio                     the initial RAM file of the lab
e2fsprogs                disk of the lab
socat                    sockets from scripts
jq                       JSON from scripts
man-db                   reads the manual pages
gnuplot-nox              plots of the benchmark, figures of the case studies
'
missing=
for package in $(printf '%s' "$packages" | awk 'NF { print $1 }'); do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

as_root=
[ "$(id -u)" -eq 0 ] || as_root=sudo
echo "Installing from Debian:$missing"
$as_root apt-get update -qq
# shellcheck disable=SC2086
DEBIAN_FRONTEND=noninteractive $as_root apt-get install -y -qq --no-install-recommends $missing > /dev/null || {
    echo "deps: apt-get could not install:$missing. Install them by hand and run make again." >&2
    exit 1
}

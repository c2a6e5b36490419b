#!/bin/sh
# Makes one hybrid ISO for BIOS and UEFI: iso.sh KERNEL ARCHIVE GRUB_CFG OUT.
set -eu
kernel=$1 archive=$2 config=$3 out=$4

for tool in grub-mkrescue xorriso mformat grub-file; do
    command -v $tool > /dev/null || { echo "iso: $tool is missing; run make deps" >&2; exit 1; }
done
grub-file --is-x86-multiboot2 "$kernel" || { echo "iso: $kernel has no Multiboot2 header" >&2; exit 1; }
tree=$(mktemp -d)
trap 'rm -rf "$tree" "$tree.iso" "$tree.log"' EXIT
mkdir -p "$tree/boot/grub"
strip --strip-debug -R '.rela*' -o "$tree/boot/delias.elf" "$kernel"
cp "$archive" "$tree/boot/cells.archive"
cp "$config" "$tree/boot/grub/grub.cfg"
grub-mkrescue -o "$tree.iso" "$tree" > "$tree.log" 2>&1 || { cat "$tree.log" >&2; exit 1; }
if [ -e "$out" ] && [ ! -f "$out" ]; then # a disk, say: never replaced
    cat "$tree.iso" > "$out"
else
    cp "$tree.iso" "$out.tmp" && mv "$out.tmp" "$out" || { rm -f "$out.tmp"; exit 1; }
fi

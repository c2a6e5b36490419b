#!/usr/bin/env bash
# The tables of right checksums are what the host computes. With --write, rewrites them.
set -eu
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
gcc -std=gnu2x -Wall -Wextra -O1 -I. -o "$work/table" tests/e2e/workload_table.c cells/gfx/canvas/draw.c \
    cells/lib/checksum/checksum.c

check() { # FILE ARGUMENT...
    local file=$1
    shift
    "$work/table" "$@" > "$work/now.h"
    if [ "$write" ]; then
        cp "$work/now.h" "$file"
    elif ! diff -u "$file" "$work/now.h"; then
        echo "workload_table: $file is not what the host computes; if the definitions changed: $0 --write" >&2
        exit 1
    fi
}

write=
[ "${1:-}" != --write ] || write=1
check guest/abi/rounds.h
check tests/guest/tests/test_canvas/frames.h frames
echo "ok: 16 rounds, 6 frames"

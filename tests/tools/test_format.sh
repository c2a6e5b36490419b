#!/usr/bin/env bash
# `check.sh format` refuses what clang-format would lay out otherwise, and lines of more than 120 columns, which it
# leaves alone in comments, assembly and scripts.
set -euo pipefail
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/tests/tools"
cp .clang-format "$work"
cp tests/tools/check.sh "$work/tests/tools"
cd "$work"
git init -q .

sources=0
passes() { # FILE LINE ...
    printf '%s\n' "${@:2}" > "$1"
    git add "$1"
    sources=$((sources + 1))
    tests/tools/check.sh format > log || { echo "FAILED: $1 is refused" >&2; cat log >&2; exit 1; }
}
refused() { # MESSAGE FILE LINE ...
    printf '%s\n' "${@:3}" > "$2"
    git add "$2"
    ! tests/tools/check.sh format > log 2>&1 || { echo "FAILED: $2 is not refused" >&2; exit 1; }
    grep -qF "$1" log || { echo "FAILED: $2: nothing says: $1" >&2; cat log >&2; exit 1; }
    git rm -qf "$2"
}

words() { printf "$1%.0s" $(seq "$2"); } # WORD COUNT
passes a.c "/* $(words x 114) */"
passes b.c "/* $(words ä 114) */" '' 'void b(void);'
for name in c.c c.h c.S; do
    refused "$name:2:" "$name" '' "/* $(words x 115) */"
    refused "$name:2:" "$name" "/* one" " * $(words ä 118) */"
done
for name in c.sh c.awk c.pl; do
    passes "ok.$name" "# $(words x 118)"
    refused "$name:1:" "$name" "# $(words x 119)"
done
refused c.c:1: c.c 'void  c(void);'
echo "ok: $sources sources pass, and what is laid out otherwise or too long is refused"

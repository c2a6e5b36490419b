#!/bin/sh
# Prints a compilation database for every C file: compile_commands.sh HOST_FLAGS GUEST_FLAGS PROBE_FLAGS.
set -eu
host=$1 guest=$2 probe=$3
escape() { printf '%s' "$1" | sed 's/\\/\\\\/g; s/"/\\"/g'; }
printf '['
separator=
for file in $(git ls-files '*.c' 2>/dev/null || find . -name '*.c' -not -path './build/*'); do
    case $file in
        tests/lab/probe.c) flags=$probe ;;
        tests/guest/*) flags=$guest ;;
        cells/tool/*|vmm/*|introspect/*|injector/*|tui/*|cli/*|tests/*) flags=$host ;;
        *) flags=$guest ;;
    esac
    printf '%s\n{"directory":"%s","file":"%s","command":"gcc %s -c %s"}' \
        "$separator" "$(escape "$PWD")" "$file" "$(escape "$flags")" "$file"
    separator=,
done
printf '\n]\n'

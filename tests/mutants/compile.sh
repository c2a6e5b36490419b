#!/usr/bin/env bash
# Compiles the deliberate defects of tests/mutants/list, one at a time, in a copy of the sources, and says which of
# them the compiler refuses: in minutes, where run.sh finds them after hours. Those in headers and in assembler files
# are left out.
#   compile.sh [WORD...]     only those whose name or tests contain one of the words
# Needs build/compile_commands.json: `make all`.
set -u
cd "$(dirname "$0")/../.."
commands=$PWD/build/compile_commands.json
[ -e "$commands" ] || { echo "compile: no $commands; make all"; exit 2; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
git ls-files -z --cached --others --exclude-standard |
    xargs -0 cp -a --parents -t "$work" 2> /dev/null # but what is deleted
cd "$work" || exit 2

tests/mutants/apply.pl check || exit 2
tests/mutants/apply.pl names > all
for word in "${@:-}"; do grep -F -- "$word" all; done | sort -nu > chosen
[ -s chosen ] || { echo "compile: no defect has such a name"; exit 2; }

compiler_of() { # PATH: the command that compiles it, without its outputs
    jq -r --arg file "$1" 'map(select(.file == $file)) | .[0].command // ""' "$commands" |
        sed 's/ -MMD//; s/ -MP//; s/ -g / /; s/ -o [^ ]*//'
}

compiled=0 refused=0
while IFS=$'\t' read -r number _ name; do
    path=$(tests/mutants/apply.pl path "$number")
    command=$(compiler_of "$path")
    [[ $path = *.c && -n $command ]] || continue
    cp -p "$path" sound
    tests/mutants/apply.pl apply "$number"
    compiled=$((compiled + 1))
    if ! $command -o /dev/null > log 2>&1; then
        refused=$((refused + 1))
        echo "$name: $(grep -m 1 error log)"
    fi
    cp -p sound "$path"
done < chosen
echo "compile: $compiled defects compiled, $refused refused"
[ $refused -eq 0 ]

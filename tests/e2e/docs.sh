#!/usr/bin/env bash
# What the documentation says to type works. Commands are in fenced blocks: `sh`, and `console`, where each command
# follows "$ " and its output, shown below it, is compared: numbers, addresses and spaces may differ, a line "..." is
# any lines. A remark may say in parentheses: (by hand: WHY), (status N), or (soon): repeated until it succeeds. What
# follows a machine is stopped after some seconds. Each document gets a machine of its own, unless it starts one.
# DOCS="FILE ..." names others.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/lib.sh
host_begin docs
machine=delias
# Not the interactive shell's aliases, but the same name.
delias() { "$PWD/build/bin/delias" "$@"; }
export -f delias

# Lines of a document: "c FILE:LINE COMMAND", "o OUTPUT" below its command, "x FILE:LINE LINE" for a command elsewhere.
commands() {
    awk -v file="$1" '
        function command(text) { print "c " file ":" NR " " text }
        file ~ /\.1$/ { if (/^\.SH/) examples = /EXAMPLES/
                        if (examples && !/^\./) { gsub(/\\-/, "-"); command($0) }
                        next }
        /^ *```/ { block = block == "" ? substr($1, 4) " " : ""; next }
        block == "sh " { if ($0 != "") command($0) }
        block == "console " { if (/^\$ /) command(substr($0, 3)); else print "o " $0 }
        block !~ /^(sh|console) $/ && /^ *(\$|delias|make|build\/bin\/[a-z-]+|sqlite3) [a-z\/-]/ &&
            (block != "" || /^    /) { print "x " file ":" NR " " $0 }
    ' "$1"
}
plain() { # numbers, addresses, bytes of code and spaces made equal
    sed -E 's/0x[0-9a-f]+/H/g; s/\b[0-9a-f]{2}( [0-9a-f]{2}){2,}\b/B/g; s/[0-9]+(\.[0-9]+)*/N/g
            s/[[:space:]]+/ /g; s/ $//'
}
agrees() { # SHOWN ACTUAL, files
    awk 'function match_from(i, j) {
             if (i > shown) return j > lines
             if (want[i] == "...") { for (; j <= lines + 1; j++) if (match_from(i + 1, j)) return 1; return 0 }
             return j <= lines && want[i] == have[j] && match_from(i + 1, j + 1)
         }
         NR == FNR { want[++shown] = $0; next }
         { have[++lines] = $0 }
         END { exit !match_from(1, 1) }' <(plain < "$1") <(plain < "$2")
}

ran=0 compared=0 by_hand=0 bad=0
complain() { echo "docs: $1"; bad=$((bad + 1)); }
compare() { # of the last command: what the document shows
    [ -s "$work/shown" ] || return 0
    compared=$((compared + 1))
    agrees "$work/shown" "$work/actual" || { complain "$place: other output: $command"; cat "$work/actual"; }
}
run() { # COMMAND, with its remark
    local want=0 got=0 limit=$wait_seconds end=$((SECONDS + wait_seconds))
    [[ $1 =~ \#.*\(status\ ([0-9]+)\) ]] && want=${BASH_REMATCH[1]}
    [[ $1 == *' --follow'* ]] && limit=4 want=124
    while timeout --foreground $limit bash -c "$1" > "$work/actual" 2>&1 < /dev/null || got=$?; do
        [ $got -ne "$want" ] && [[ $1 == *'# (soon)'* ]] && [ $SECONDS -lt $end ] || break
        got=0
        sleep 0.5
    done
    ran=$((ran + 1))
    [ $got -eq "$want" ] || { complain "$place: status $got, not $want: $command"; cat "$work/actual"; }
}
document() {
    local kind rest line
    command=
    commands "$1" > "$work/commands"
    : > "$work/shown"
    if grep -q '^c [^ ]* delias ' "$work/commands" && ! grep -q '^c [^ ]* delias run ' "$work/commands"; then
        delias run --detach > "$work/started" 2>&1 < /dev/null || complain "$1: no machine: $(cat "$work/started")"
    fi
    while IFS= read -r line; do
        kind=${line%% *} rest=${line#? }
        if [ "$kind" = o ]; then
            echo "$rest" >> "$work/shown"
            continue
        fi
        [ "$kind" = c ] || { complain "${rest%% *}: a command outside of sh and console blocks: ${rest#* }"; continue; }
        compare
        place=${rest%% *} command=${rest#* }
        : > "$work/shown"
        : > "$work/actual"
        if [[ $command == *'(by hand: '* ]]; then
            by_hand=$((by_hand + 1))
        else
            run "$command"
        fi
    done < "$work/commands"
    compare
    delias stop > "$work/out" 2>&1 # unless the document has done so
}

# This script notices a failure, other output, and a command that it would not run.
printf '%s\n' '```sh' 'false' '```' '```console' '$ echo 1 apple' '2 pears' '...' '```' '    delias cells' \
    > "$work/wrong.md"
document "$work/wrong.md" > "$work/complaints"
[ $bad -eq 3 ] || { cat "$work/complaints"; echo 'docs: wrong commands go unnoticed'; exit 1; }
ran=0 compared=0 bad=0

for file in ${DOCS:-README.md docs/*.md docs/delias.1}; do
    document "$file"
done

# The screen in README is what the program draws of `channel`; rows of the list may come in another order.
halves() { plain | awk -F│ 'NF < 5 { print; next } { print "left" $2; print "right" $4 }' | sed 's/ *$//' | sort -u; }
screen() {
    local tmux="tmux -S $work/tmux -f /dev/null" end=$((SECONDS + wait_seconds))
    awk '/^```/ { block = !block; on = 0; next } block && /^ demo/ { on = 1 } on && block' README.md > "$work/shown"
    delias run --name demo --detach > "$work/started" 2>&1 < /dev/null || complain "no machine: $(cat "$work/started")"
    $tmux new-session -d -s t -x 80 -y 24 "TERM=screen-256color build/bin/delias tui demo"
    until $tmux capture-pane -p -t t > "$work/drawn"; grep -q 'channel: dependencies' "$work/drawn"; do
        [ $SECONDS -lt $end ] || break
        grep -q 'channel: ' "$work/drawn" && $tmux send-keys -t t d # before, Down moves along the list of cells
        grep -q 'shell: ' "$work/drawn" && $tmux send-keys -t t Down
        sleep 1
    done
    delias cells demo --json | jq -r '.[] | "left \(.name) vN \(.kind[:3])"' > "$work/cells"
    $tmux kill-server
    delias stop demo
    halves < "$work/shown" | comm -23 - <(halves < "$work/drawn" | sort -u - "$work/cells") > "$work/other"
    [ -s "$work/shown" ] && [ ! -s "$work/other" ] ||
        { complain 'README.md: the screen is drawn otherwise than:'; cat "$work/other" "$work/drawn"; }
}
[ -n "${DOCS:-}" ] || screen

# Names in `backticks` exist: files by path or name, identifiers anywhere in a source.
git ls-files | awk -F/ '{ print; print $NF; path = ""
                          for (i = 1; i < NF; i++) { path = path $i "/"; print path; print $i "/" }
                          if (NF > 1) print $(NF - 1) "/" $NF }' | sort -u > "$work/files"
git grep -ohwE '[A-Za-z_][A-Za-z0-9_]+' -- '*.[chS]' '*.sh' '*.ld' Makefile | sort -u > "$work/words"
for file in ${DOCS:-README.md docs/*.md}; do
    grep -oE '`[a-z_A-Z0-9./]+(\(\);)?`' "$file" | tr -d '`();' | sort -u > "$work/names"
    grep -E '^[a-z][a-z0-9_/.]*(/|\.[chS]|\.sh|\.md|\.yaml)$' "$work/names" | grep -vE '^build/|[A-Z]' | sort -u |
        comm -23 - "$work/files" | while read -r name; do echo "$file: there is no $name"; done
    grep -E '^[A-Za-z0-9]+_[A-Za-z0-9_]+$' "$work/names" | grep -v NAME | comm -23 - "$work/words" |
        while read -r name; do echo "$file: nothing is called $name"; done
done > "$work/unknown"
while read -r line; do complain "$line"; done < "$work/unknown"
[ $ran -gt 0 ] || complain 'no commands at all'
echo "docs: $ran commands ran, the output of $compared was compared, $by_hand are not run here, $bad wrong"
[ $bad -eq 0 ]

#!/bin/sh
# Who may include whom: every #include "..." of a folder must lead to one of the folders allowed for it.
set -eu
bad=0
# folder            may include (itself is always allowed)
rules='
guest/abi
guest               guest/abi cells
cells/tool          guest/abi
cells               guest/abi
vmm/machine         guest/abi
vmm                 guest/abi
introspect          guest/abi
injector            introspect vmm/machine guest/abi
tui                 injector introspect vmm/machine guest/abi
cli                 cells/tool tui injector introspect vmm/machine guest/abi
'
folder_of() { # the longest rule that the path starts with
    printf '%s\n' "$rules" | awk -v path="$1" 'NF && index(path, $1 "/") == 1 && length($1) > best { best = length($1); name = $1 } END { print name }'
}
for file in $(git ls-files '*.c' '*.h' '*.S' | grep -v '^tests/'); do
    from=$(folder_of "$file")
    [ -n "$from" ] || continue
    allowed=" $from $(printf '%s\n' "$rules" | awk -v f="$from" '$1 == f { $1 = ""; print }') "
    for target in $(sed -n 's/^[[:space:]]*#[[:space:]]*include[[:space:]]*"\([^"]*\)".*/\1/p' "$file"); do
        to=$(folder_of "$target")
        case $allowed in
            *" $to "*) [ -n "$to" ] && [ -e "$target" ] && continue ;;
        esac
        echo "$file: includes $target, which $from may not (allowed:$allowed)" >&2
        bad=1
    done
done
exit $bad

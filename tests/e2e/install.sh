#!/usr/bin/env bash
# What `make install` puts somewhere works from there: machines, cells and campaigns are found from any folder, also
# after all of it was moved; what is installed over it, and `make uninstall`, leave nothing behind.
set -u
cd "$(dirname "$0")/../.."
. tests/lib.sh
host_begin install
unset MAKEFLAGS MAKELEVEL
root=$work/root prefix=/opt/delias # DESTDIR and PREFIX: nothing is put outside of $work

target() { # NAME: of make
    make --no-print-directory "$1" DESTDIR="$root" PREFIX=$prefix > "$work/out" 2> "$work/err"
}
target install || fail 'make install'
installed=$root$prefix
others=$(find "$root" -path "$installed" -prune -o -type f -print)
[ -z "$others" ] || fail "outside of the prefix: $others"
comm -3 <(cd "$installed" && find . -type f | sed 's,^\./,,' | sort) "$installed/lib/delias/installed" > "$work/out"
[ ! -s "$work/out" ] || fail 'lib/delias/installed is not what there is'
grep -rlE '\.\./build/' "$installed/lib/delias/machines" "$installed/lib/delias/campaigns" > "$work/out" &&
    fail 'configurations name files of the build'
[ -e "$installed/lib/delias/cells/channel_v2.o" ] && [ ! -e "$installed/lib/delias/cells/testing.o" ] ||
    fail 'not the cells that ship'
find "$installed" -type f ! -perm 644 ! -perm 755 | grep . && fail 'files with other permissions'
echo 'ok: make install'

# the place does not matter: programs find the rest by their own
mv "$installed" "$work/moved"
delias=$work/moved/bin/delias
mkdir "$work/elsewhere"
cd "$work/elsewhere" || exit 1
must 0 run exact --name $machine --detach --timeout $wait_seconds
must 0 ps --json
jq -e --arg name $machine 'any(.[]; .name == $name and .backend == "tcg")' "$work/out" > /dev/null || fail 'ps'
must 0 swap channel=channel_v2 --json
jq -e .ok "$work/out" > /dev/null || fail 'a cell that was installed is not swapped in'
must 0 swap channel="$work/moved/lib/delias/cells/channel.o"
must 0 cells --json
jq -e 'any(.[]; .name == "channel" and .version == 1)' "$work/out" > /dev/null || fail 'not the installed cell'
must 0 verify # by kernel and archive
must 0 stop $machine
must 0 run default.yaml --name $machine --accel tcg --detach --timeout $wait_seconds
must 0 stop $machine
must 0 run --name $machine --accel tcg --cpus 1 --detach --timeout $wait_seconds
must 0 stop $machine
must 0 doctor
must 1 run nothing
grep -q 'nothing: No such file' "$work/err" || fail 'a machine file that is not there is not named'
for campaign in quick swap_data thesis/read; do # a path into the folder is one below it
    file=$work/moved/lib/delias/campaigns/$campaign.yaml
    [[ $campaign == */* ]] || file=$campaign
    must 0 campaign check "$file"
done
: > default.yaml # what is here comes first
must 1 run default.yaml --name $machine
"$work/moved/bin/delias-vmm" --version > /dev/null && "$work/moved/bin/cell" show channel.o > "$work/out" 2>&1
cd - > /dev/null || exit 1
man --warnings -l "$work/moved/share/man/man1/delias.1" > "$work/out" 2> "$work/err" && [ ! -s "$work/err" ] ||
    fail 'the manual page'
echo 'ok: delias run, swap, campaign check from another folder'

# an older one had other files; a user has put something there
mv "$work/moved" "$installed"
echo lib/delias/cells/gone.o >> "$installed/lib/delias/installed"
echo ../../victim >> "$installed/lib/delias/installed"
sort -o "$installed/lib/delias/installed" "$installed/lib/delias/installed"
touch "$installed/lib/delias/cells/gone.o" "$installed/lib/delias/cells/mine.o" "$root/victim"
target install || fail 'make install again'
[ ! -e "$installed/lib/delias/cells/gone.o" ] || fail 'what is not installed any more stays'
[ -e "$installed/lib/delias/cells/mine.o" ] && [ -e "$root/victim" ] || fail 'files of others are removed'
target uninstall || fail 'make uninstall'
[ "$(find "$root" -type f | sort | tr '\n' ' ')" = "$installed/lib/delias/cells/mine.o $root/victim " ] ||
    fail "uninstall leaves: $(find "$root" -type f | head)"
target uninstall &&
    fail 'uninstall of nothing succeeds'
rm "$installed/lib/delias/cells/mine.o"
echo 'ok: install again, uninstall'

#!/bin/sh
# Puts what was built below a folder, or takes it away again: install.sh add|remove FOLDER, FOLDER being DESTDIR and
# PREFIX of `make install`. What was put there is listed in lib/delias/installed; only what is listed is ever removed,
# and folders that are empty then. Programs find the rest by their own place (cli/files.c): the folder may be moved.
set -eu
action=$1 to=$2
cd "$(dirname "$0")/.."
list=lib/delias/installed

# ---- what goes where: mode, source, target ----

rows() { # MODE FOLDER SOURCE...
    mode=$1 folder=$2
    shift 2
    for source in "$@"; do printf '%s\t%s\t%s/%s\n' "$mode" "$source" "$folder" "${source##*/}"; done
}
contents() {
    rows 755 bin build/bin/delias build/bin/delias-vmm build/bin/cell
    rows 644 lib/delias build/delias.elf build/cells.archive build/rendezvous.archive
    # of the cells in the archive: those of tests stay out
    ls -d cells/*/*/ | sed 's,.*/\([^/]*\)/$,\1,' | while read -r cell; do
        for name in "$cell" "${cell}_avx2"; do
            [ ! -e "build/cells/$name.o" ] || rows 644 lib/delias/cells "build/cells/$name.o"
            [ ! -e "build/cells.debug/$name.o" ] || rows 644 lib/delias/cells.debug "build/cells.debug/$name.o"
        done
    done
    rows 644 lib/delias/cells build/cells/nano_core.o
    for file in configs/machines/*.yaml configs/campaigns/*.yaml configs/campaigns/*/*.yaml; do
        printf '644\t%s\tlib/delias/%s\n' "$file" "${file#configs/}"
    done
    rows 644 share/man/man1 docs/*.1
    rows 644 share/doc/delias README.md CHANGES.md LICENSE docs/*.md
}

# ---- to put there, to take away ----

put() { # MODE SOURCE TARGET; paths into the build are those into the folder above, here
    mkdir -p "$(dirname "$to/$3")"
    case $2 in
        *.yaml) sed 's,\.\./build/,,' "$2" > "$to/$3.new" ;;
        *) cp "$2" "$to/$3.new" ;;
    esac
    chmod "$1" "$to/$3.new"
    mv "$to/$3.new" "$to/$3" # programs that run, and images that machines have mapped, stay as they are
}
remove_listed() { # the paths on stdin, and then empty folders, as far as the list goes
    while read -r path; do
        case /$path/ in */../*) continue ;; esac
        rm -f "$to/$path"
        folder=$(dirname "$path")
        while [ "$folder" != . ] && rmdir "$to/$folder" 2> /dev/null; do folder=$(dirname "$folder"); done
    done
}
add() {
    contents > build/contents
    mkdir -p "$to/${list%/*}"
    { cut -f 3 build/contents; echo $list; } | sort > build/installed
    [ ! -e "$to/$list" ] || comm -23 "$to/$list" build/installed | remove_listed
    tab=$(printf '\t')
    while IFS=$tab read -r mode source target; do put "$mode" "$source" "$target"; done < build/contents
    put 644 build/installed $list
}
remove() {
    [ -e "$to/$list" ] || { echo "uninstall: there is no $to/$list" >&2; exit 1; }
    files=$(cat "$to/$list")
    printf '%s\n' "$files" | remove_listed
}

case $action in
    add | remove) $action ;;
    *) echo "usage: install.sh add|remove FOLDER" >&2; exit 2 ;;
esac

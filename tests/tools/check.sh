#!/usr/bin/env bash
# Static checks, all as errors: format, headers, layering, nano_core, lock annotations, cppcheck, gcc's analyzer at two
# levels. check.sh [NAME ...] runs only those. What passed is not checked again until its inputs change (build/check).
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
out=build/check
mkdir -p $out
jobs=$(nproc)

# ---- one compilation per file ----

each_command() { # file, tab, flags without what only concerns output: from the compilation database
    jq -r '.[] | .file + "\t" + (.command | sub("^gcc "; "") | sub(" -c [^ ]+$"; ""))' build/compile_commands.json |
        sed -E 's/ -(MMD|MP)\b//g'
}

# Of the lines on stdin, those that have not passed as they are now. A mark holds the command, then the files read.
changed() { # check, compiler
    local file flags mark seen count=0 version
    version=$("$2" -dumpversion)
    while IFS=$'\t' read -r file flags; do
        count=$((count + 1))
        mark=$out/$1/$file
        if [ -e "$mark" ]; then
            mapfile -t seen < "$mark"
            if [ "${seen[0]}" = "$2 $version $flags" ] && older "$mark" "${seen[@]:1}"; then
                continue
            fi
        fi
        printf '%s\t%s\t%s\n' "$mark" "$2 $version $flags" "$file"
    done
    [ "$count" -gt 0 ] || { echo "$1: no files: is build/compile_commands.json there?" >&2; return 1; }
}
older() { # mark, files that must exist and be older
    local mark=$1 file
    shift
    for file in tests/tools/check.sh "$@"; do
        [ -e "$file" ] && ! [ "$file" -nt "$mark" ] || return 1
    done
}

# Runs `check_one FILE FLAGS...` for the lines from `changed`, and marks those that pass.
compile_each() {
    xargs -r -P "$jobs" -d '\n' -n 1 bash -c '
        IFS=$'"'\t'"' read -r mark command file <<< "$1"
        read -r compiler _ flags <<< "$command"
        mkdir -p "${mark%/*}"
        touch "$mark.begun" # what is edited from now on is newer
        check_one "$file" $flags || exit 1
        inputs=$("$compiler" $flags -w -MM -MT _ "$file") || exit 1
        printf "%s\n" "$command" $(tr -d "\\\\\n" <<< "${inputs#_:}") > "$mark"
        touch -r "$mark.begun" "$mark"
        rm "$mark.begun"
    ' _
}

# The analyzer does not follow the edges of exceptions: with them every scope seems to leak. In guest tests it does not
# look for leaks: a need that is not met ends the machine with all that is held, and testing_end counts what is left.
without_exceptions='s/ -(O[0-9]|fexceptions|fnon-call-exceptions|fasynchronous-unwind-tables)\b//g'
analyze() { # check, level
    check_one() {
        gcc "${@:2}" -fanalyzer -fanalyzer-verbosity=0 -Werror -S "$1" -o /dev/null
    }
    export -f check_one
    each_command | sed -E "$without_exceptions; s/\$/ $2/; /^tests\/guest\//s/\$/ -Wno-analyzer-malloc-leak/" |
        changed "$1" gcc | compile_each
}
check_analyzer0() { analyze analyzer0 -O0; }
check_analyzer1() { analyze analyzer1 -O1; }

# Flags and pragmas that clang 14 does not know; the warnings are those that gcc has not, and not about locks.
only_gcc='s/ -(mgeneral-regs-only|fno-ipa-icf|fno-partial-inlining|fno-reorder-blocks-and-partition)\b//g
          s/ -(fnon-call-exceptions|fsanitize[^ ]*)//g'
check_locks() { # not the tests, which hold locks wrongly on purpose
    check_one() {
        clang "${@:2}" -Werror -Wthread-safety -Wthread-safety-beta -Wno-unneeded-internal-declaration \
            -Wno-unknown-warning-option -Wno-unknown-attributes -Wno-ignored-optimization-argument \
            -Wno-ignored-attributes -Wno-gnu-variable-sized-type-not-at-end -Wno-unused-command-line-argument \
            -fsyntax-only "$1"
    }
    export -f check_one
    each_command | grep -v '^tests/' | sed -E "$only_gcc" | changed locks clang | compile_each
}

# ---- whole trees ----

check_format() { git ls-files '*.c' '*.h' | xargs clang-format --dry-run -Werror; }

check_cppcheck() { # not the tests: their library's macros are beyond it, and what they get wrong fails a test
    mkdir -p $out/cppcheck
    git ls-files '*.c' | grep -v '^tests/' |
        xargs cppcheck --quiet --std=c11 --inline-suppr --error-exitcode=1 -j "$jobs" -I . --enable=warning,portability \
            -D_Noreturn='__attribute__((noreturn))' --suppress=missingIncludeSystem --cppcheck-build-dir=$out/cppcheck
}

check_layering() { tests/tools/layering.sh; }

check_headers() { # every header compiles alone
    git ls-files '*.h' | xargs -P "$jobs" -n 1 sh -c '
        printf "#include \"%s\"\n" "$1" | gcc -std=gnu2x -Wall -Wextra -Werror -D_GNU_SOURCE -I. -fsyntax-only -x c - ||
            { echo "$1 does not compile alone" >&2; exit 1; }
    ' _
}

check_nano_core() { # what loading the first cell takes, and nothing else
    local bytes
    bytes=$(size -A build/delias.elf | awk '$1 ~ /^\.(text|rodata|eh_frame|gcc_except_table)/ { sum += $2 } END { print sum }')
    echo "  nano_core: $bytes bytes of text, read-only data and unwind tables"
    if [ "$bytes" -gt 65536 ]; then
        echo 'nano_core is larger than 64 KiB' >&2
        return 1
    fi
    if nm build/delias.elf | grep -E ' [Tt] (log|scheduler|run_queue|task|wait_queue|serial|keyboard|channel|shell|workload|heap|memory_fs|swap|recovery)_'; then
        echo 'nano_core holds what belongs into loadable cells' >&2
        return 1
    fi
}

failed=
for name in ${*:-format headers layering nano_core locks cppcheck analyzer0 analyzer1}; do
    if "check_$name" > "$out/$name.log" 2>&1; then
        grep '^  ' "$out/$name.log" || true
        echo "ok      $name"
    else
        tail -n 40 "$out/$name.log"
        echo "FAILED  $name (all of it: $out/$name.log)"
        failed="$failed $name"
    fi
done
[ -z "$failed" ] || { echo "check: failed:$failed" >&2; exit 1; }
echo "check: all passed"

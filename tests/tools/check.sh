#!/usr/bin/env bash
# Static checks, all as errors: format, headers, layers, nano_core, lock annotations by two clangs, cppcheck, gcc's
# analyzer at two levels. check.sh [NAME ...] runs only those. What passed is not checked again until its inputs change
# (build/check).
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

# Of the lines on stdin, those that have not passed as they are now, each with the files that it reads. A mark holds
# what was run and, for each file read, the hash of its bytes: what comes back with another branch or a fresh checkout
# is not run again.
changed() { # check, compiler
    local version
    version="$2 $("$2" -dumpversion) $(declare -f check_one | sha1sum | cut -c 1-12)"
    awk -F '\t' -v marks="$out/$1/" -v version="$version" '
        NR == FNR { hash[$2] = $1; next }
        { all++; mark = marks $1; command = version " " $2; line = ""
          passed = (getline line < mark) > 0 && line == command
          while (passed && (getline line < mark) > 0) { split(line, read, FS); passed = hash[read[2]] == read[1] }
          close(mark)
          if (!passed) print mark FS command FS $1 }
        END { if (!all) { print marks ": no files: is build/compile_commands.json there?" > "/dev/stderr"; exit 1 } }
    ' <(hashes) -
}
hashes() { # of every source, tab, its path
    git ls-files -co --exclude-standard -- '*.c' '*.h' '*.S' ':!:build' | xargs -d '\n' sha1sum 2> /dev/null |
        sed 's/  /\t/'
}

# Runs `check_one FILE FLAGS...` for the lines from `changed`, and marks those that pass. What is edited meanwhile keeps
# its old hash in the mark, and so is run again.
compile_each() {
    hashes > $out/hashes.$$
    hashes=$out/hashes.$$ xargs -r -P "$jobs" -d '\n' -n 1 bash -c '
        IFS=$'"'\t'"' read -r mark command file <<< "$1"
        read -r compiler _ _ flags <<< "$command"
        check_one "$file" $flags || exit 1
        mkdir -p "${mark%/*}"
        inputs=$("$compiler" $flags -w -MM -MT _ "$file") || exit 1
        { echo "$command"
          tr -d "\\\n" <<< "${inputs#_:}" | tr -s " " "\n" | sed "s#^\./##" |
              awk -F "\t" "NR == FNR { hash[\$2] = \$1; next } NF { print hash[\$1] FS \$1 }" $hashes -
        } > "$mark"
    ' _ || { rm $out/hashes.$$; return 1; }
    rm $out/hashes.$$
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

# Flags and pragmas that clang does not know; the warnings are those that gcc has not, and not about locks.
only_gcc='s/ -(mgeneral-regs-only|fno-ipa-icf|fno-partial-inlining|fno-reorder-blocks-and-partition)\b//g
          s/ -(fnon-call-exceptions|fsanitize[^ ]*)//g'
locks() { # check, compiler
    check_one() {
        "$COMPILER" "${@:2}" -Werror -Wthread-safety -Wthread-safety-beta -Wno-unneeded-internal-declaration \
            -Wno-unknown-warning-option -Wno-unknown-attributes -Wno-ignored-optimization-argument \
            -Wno-ignored-attributes -Wno-gnu-variable-sized-type-not-at-end -Wno-unused-command-line-argument \
            -Wno-unused-variable -Wno-format-zero-length -fsyntax-only "$1"
    }
    export -f check_one
    each_command | sed -E "$only_gcc" | changed "$1" "$2" | COMPILER=$2 compile_each
}
check_locks() { locks locks clang; }
check_locks19() { locks locks19 clang-19; }

check_headers() { # every header compiles alone
    check_one() {
        printf '#include "%s"\n' "$1" | gcc "${@:2}" -x c - || { echo "$1 does not compile alone" >&2; false; }
    }
    export -f check_one
    git ls-files '*.h' | sed "s/\$/\t-std=gnu2x -Wall -Wextra -Werror -D_GNU_SOURCE -I. -fsyntax-only/" |
        changed headers gcc | compile_each
}

# ---- whole trees ----

check_columns() { # 120 at most: clang-format breaks neither comments nor what is not C
    ! LC_ALL=C.UTF-8 git grep -nE '.{121}' -- '*.[chS]' '*.sh' '*.awk' '*.pl' .ci/run tests/tools/layers
}

check_format() { # the layout of files that have not passed with the bytes that they have now
    check_columns || return 1
    local key
    key=$({ clang-format --version; cat .clang-format; } | cksum)
    git ls-files '*.c' '*.h' | xargs sha1sum | sed "s/^/$key /" | sort > $out/format.now
    touch $out/format.passed
    comm -13 $out/format.passed $out/format.now | sed 's/.*  //' |
        xargs -r -P "$jobs" -n 20 clang-format --dry-run -Werror && mv $out/format.now $out/format.passed
}

# Not what it cannot see: the end of an owner's scope, a callee that fills in what it gets, labels around linked-in
# bytes.
check_cppcheck() {
    mkdir -p $out/cppcheck
    git ls-files '*.c' |
        xargs cppcheck --quiet --std=c11 --inline-suppr --error-exitcode=1 -j "$jobs" -I . \
            --enable=warning,portability -D_Noreturn='__attribute__((noreturn))' --suppress=missingIncludeSystem \
            --suppress=memleak --suppress=resourceLeak --suppress=ctuuninitvar --suppress='comparePointers:tests/*' \
            --suppress='integerOverflow:tests/lab/*' --suppress='zerodiv:tests/scale/*' \
            --suppress='uninitvar:tests/scale/*' --cppcheck-build-dir=$out/cppcheck
}

check_words() { # those of tests/tools/words are in no other file, but for CHANGES.md, which says what they became
    local pattern use found=
    while IFS=$'\t' read -r pattern use; do
        [[ $pattern != '#'* ]] || continue
        git grep -nwE "$pattern" -- . ':!tests/tools/words' ':!LICENSE' ':!CHANGES.md' || continue
        echo "  say instead: $use"
        found=1
    done < tests/tools/words
    [ -z "$found" ]
}

check_layers() { tests/tools/layers; }

check_parts() { # a cell's part of struct task is touched by that cell only (cells/task/task/task.h)
    local part
    for part in life:task kill:kill run_queue:run_queue scheduler:scheduler wait_queue:wait_queue; do
        ! git grep -nE "[>.]${part%:*}\\." -- 'cells/*.[ch]' |
            grep -vE "^cells/[a-z]+/${part#*:}(_v[0-9])?/" || return 1
    done
}

check_nano_core() { # what loading the first cell takes, and nothing else
    local bytes
    bytes=$(size -A build/delias.elf |
        awk '$1 ~ /^\.(text|rodata|eh_frame|gcc_except_table)/ { sum += $2 } END { print sum }')
    echo "  nano_core: $bytes bytes of text, read-only data and unwind tables"
    if [ "$bytes" -gt $((60 * 1024)) ]; then
        echo 'nano_core is larger than 60 KiB, which leaves 4 of its 64 KiB for the future' >&2
        return 1
    fi
    if comm -12 <(nm -j build/delias.elf | sort -u) <(loadable_exports) | grep .; then
        echo 'nano_core holds what cells export that do not say CORE()' >&2
        return 1
    fi
}
loadable_exports() {
    local core
    core=$(grep -l '^CORE();' cells/*/*/*.c | sed 's,/[^/]*$,.o,; s,.*/,build/cells/,')
    printf '%s\n' build/cells/*.o | grep -vxF "$core"$'\nbuild/cells/nano_core.o' |
        xargs nm -gj --defined-only | grep -v ^_ | sort -u # gcc calls what begins with _, and the image has its own
}

failed=
for name in ${*:-format headers layers words parts nano_core locks locks19 cppcheck analyzer0 analyzer1}; do
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

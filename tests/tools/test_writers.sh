#!/usr/bin/env bash
# Who writes the fields of the arena's records, and under which lock, is what guest/abi/arena.h says. All cells are
# compiled with a copy of that header in which every field is const, so that the compiler names each place that writes
# one, and the field. The cell must be one that the comment above the field names; where that says "arena lock" or
# "loader lock", the function must take the lock or need it (NEEDS, which `make check` has clang follow). A cell that a
# comment names must write one of its fields. What a function returns by a parameter `ret_...`, and what is in a
# variable of its own, are copies. Not seen: what assembly writes, and whole records.
set -euo pipefail
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/guest/abi"

# An atomic store is an assignment here, so that it is refused in the same words.
cat > "$work/atomic.h" <<'END'
#define __atomic_store_n(p, v, o) ((void)(*(p) = (v)))
#define __atomic_fetch_or(p, v, o) (*(p) |= (v))
#define __atomic_fetch_add(p, v, o) (*(p) += (v))
#define __atomic_add_fetch(p, v, o) (*(p) += (v))
#define __atomic_compare_exchange_n(p, e, v, w, s, f) ((*(p) = (v)) == *(e))
END
awk '/^struct arena_[a-z_]+ \{/ { inside = 1 } /^\};/ { inside = 0 }
     inside && /^    (u?int[0-9]+_t|char|struct [a-z_]+) / { sub(/^    /, "    const ") } { print }' \
    guest/abi/arena.h > "$work/guest/abi/arena.h"

writes() { # FILE FLAGS...: the compiler's complaints
    clang -I"$WORK" "${@:2}" -include "$WORK/atomic.h" -Wno-everything -ferror-limit=0 \
        -Wincompatible-pointer-types-discards-qualifiers -fno-caret-diagnostics -fsyntax-only "$1" \
        2>&1 || true
}
export -f writes
jq -r '.[] | .file + "\t" + .command' build/compile_commands.json | awk -F '\t' '
    $1 ~ /^(cells|guest)\// && $1 !~ /^cells\/tool\// && $1 ~ /\.c$/ && !seen[$1]++ {
        sub(/^gcc /, "", $2); sub(/ -c .*/, "", $2)
        gsub(/ -(MMD|MP|mgeneral-regs-only|fno-ipa-icf|fno-partial-inlining|fnon-call-exceptions)/, "", $2)
        gsub(/ -(fno-reorder-blocks-and-partition|fsanitize[^ ]*|o [^ ]+)/, "", $2)
        print $1 " " $2 }' |
    WORK=$work xargs -P "$(nproc)" -d '\n' -n 1 bash -c 'writes $1 > "$(mktemp "$WORK/complaints.XXXXXX")"' _
cat "$work"/complaints.* > "$work/complaints"

perl - "$work/complaints" <<'END'
use strict;
my (%by, %line_of, %wrote, %needs, %lines, %bad);
my ($failed, $count) = (0, 0);
sub fail { print "$_[0]\n" unless $bad{$_[0]}++; $failed = 1 }
sub lines_of { my $f = shift; $lines{$f} //= do { open my $h, '<', $f or die "$f: $!"; [<$h>] } }

# What the header says: for each line of a record, the cells and locks of the comment above.
my $said;
my $header = lines_of('guest/abi/arena.h');
for my $i (0 .. $#$header) {
    $_ = $header->[$i];
    $said = undef if /^struct arena_\w+ \{/ || /^\};/;
    if (/written by (.*?); (.*?)(:.*)? \*\//) {
        my ($cells, $lock) = ($1, $2);
        $cells =~ s/ \([^)]*\)//g;
        $said = {at => $i + 1, cells => {map { $_ => 1 } split /, /, $cells}, lock => $lock};
    }
    $said = {at => $i + 1, cells => {}, lock => ''} if /written by the host/;
    next unless $said;
    $by{$i + 1} = $said;
    next unless s/^    [^\/ ][^;]*? (\w[^;\/]*);.*/$1/s;
    push @{$line_of{$_}}, $i + 1 for map { s/^\*|\[.*//gr } split /, /;
}

# Functions that are declared with a lock.
for my $file (split /\n/, `git ls-files 'cells/*.h' 'cells/*.c'`) {
    my $text = join '', @{lines_of($file)};
    $needs{$1}{$2} = 1 while $text =~ /\b(\w+)\((?:[^();]|\([^()]*\))*\)\s*(?:NEEDS\(loader_lock\)\s*)?NEEDS\((\w+)\)/g;
    $needs{$1}{$2} = 1 while $text =~ /\b(\w+)\((?:[^();]|\([^()]*\))*\)\s*NEEDS\((\w+)\)/g;
}
my %takes = ('arena lock' => ['arena_writer', qr/arena_change\(\)/],
             'loader lock' => ['loader_lock', qr/loader_hold\(\)/]);

sub function_at { # its name and text
    my ($file, $line) = @_;
    my $all = lines_of($file);
    my $from = $line - 1;
    $from-- while $from > 0 && $all->[$from] !~ /^[A-Za-z].*\(/;
    my $to = $line - 1;
    $to++ while $to < $#$all && $all->[$to] !~ /^\}/;
    my ($name) = $all->[$from] =~ /(\w+)\(/;
    return ($name, join '', @$all[$from .. $to]);
}

# A place that writes `field`, which is at line `at` of the header. False: nobody says that the cell writes it.
sub check_write {
    my ($file, $line, $field, $at, $cell) = @_;
    my $says = $by{$at} or return fail("guest/abi/arena.h:$at: nobody is said to write $field");
    return 0 unless $says->{cells}{$cell};
    $wrote{$says->{at}}{$cell} = ++$count;
    my ($function, $text) = function_at($file, $line);
    for my $lock (grep { $says->{lock} =~ /\b$_\b/ && $says->{lock} !~ /^atomic/ } keys %takes) {
        my ($role, $take) = @{$takes{$lock}};
        fail("$file:$line: $function writes $field without the $lock")
            unless $text =~ $take || $needs{$function}{$role} || $text =~ /UNCHECKED/;
    }
    return 1;
}

my ($place, %done);
open my $complaints, '<', $ARGV[0] or die;
while (<$complaints>) {
    my ($at, $field);
    if (/^(\S+?):(\d+):\d+: (?:error|warning): (.*)/) {
        my ($file, $line, $what) = ($1, $2, $3);
        $file =~ s/^\.\///;
        $place = $what =~ /^cannot assign/ ? [$file, $line] : undef;
        next if $place;
        fail("$file:$line: $what") unless $what =~ /^read-only variable|discards qualifiers/;
        # Through a pointer to the field: its record is not named, so all that have such a field are tried.
        next if $done{"$file:$line"}++ || $file eq 'cells/core/arena/arena.c' && $what =~ /discards/;
        my ($cell) = $file =~ m{^cells/\w+/(\w+?)(?:_v\d+)?/};
        next if lines_of($file)->[$line - 1] =~ /\bret_\w+->/; # a copy
        my @found = map { grep { $line_of{$_} } /(?:->|\]\.|\)\.)(\w+)/g } lines_of($file)->[$line - 1];
        my $tried = join ', ', @found;
        @found = grep { my $f = $_;
                        grep { check_write($file, $line, $f, $_, $cell // 'guest') } @{$line_of{$f}} } @found;
        fail("$file:$line: writes $tried, and guest/abi/arena.h does not say so") if $tried && !@found;
        next;
    }
    next unless /arena\.h:(\d+):\d+: note: .*member '(\w+)'/ && $place;
    ($at, $field) = ($1, $2);
    my ($file, $line) = @$place;
    $place = undef;
    next if lines_of($file)->[$line - 1] =~ /(?<![\w>.)\]])\w+\.$field\b|\bret_\w+->$field\b/; # a copy
    my ($cell) = $file =~ m{^cells/\w+/(\w+?)(?:_v\d+)?/};
    $cell //= 'guest';
    check_write($file, $line, $field, $at, $cell) or
        fail("$file:$line: $cell writes $field, and guest/abi/arena.h:$by{$at}{at} does not say so");
}
for my $says (values %by) {
    fail("guest/abi/arena.h:$says->{at}: $_ writes none of these fields")
        for grep { !$wrote{$says->{at}}{$_} } keys %{$says->{cells}};
}
die "no cell was compiled\n" unless $count;
exit $failed;
END

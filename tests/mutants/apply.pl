#!/usr/bin/env perl
# The kept list of deliberate defects (tests/mutants/list), and how one of them gets into the sources.
#   apply.pl check          says which defects do not apply to exactly one place; status 1 when there are any
#   apply.pl names          number, tests and name of each, with tabs between them
#   apply.pl path NUMBER    prints the path of the file that the defect is in
#   apply.pl apply NUMBER   makes the defect in the tree that it is run in
# The list says how defects are written.
use strict;
use warnings;

my @folders = qw(cells cli debugger guest injector introspect tui vmm);

sub read_file {
    my ($path) = @_;
    open my $file, '<', $path or die "$path: $!\n";
    local $/;
    return <$file>;
}

sub read_list {
    my @defects;
    for (split /\n/, read_file('tests/mutants/list')) {
        next if /^\s*(#|$)/;
        if (/^(\S.*)/) {
            push @defects, {name => $1};
        } elsif (/^    (in|text|with|tests)(?: (.*))?$/ && @defects && !exists $defects[-1]{$1}) {
            $defects[-1]{$1} = $2 // '';
        } else {
            die "tests/mutants/list: what is this: $_\n";
        }
    }
    for my $defect (@defects) {
        exists $defect->{$_} or die "tests/mutants/list: '$defect->{name}' lacks '$_'\n" for qw(in text with tests);
    }
    return @defects;
}

# The C text with its white space as it comes: "a = b;" also matches "a =\n    b;".
sub pattern {
    my ($text) = @_;
    my $pattern = '';
    my $last = '';
    for my $token ($text =~ /\w+|\S/g) {
        $pattern .= $last =~ /\w$/ && $token =~ /^\w/ ? '\s+' : '\s*' if $last ne '';
        $pattern .= quotemeta $token;
        $last = $token;
    }
    return $pattern;
}

# Start and end of the definitions of a function, a table, a structure or a union in a source. By clang-format they
# begin in the first column and end with a brace there.
sub definitions {
    my ($source, $symbol) = @_;
    my @found;
    while ($source =~ /^(?=[A-Za-z_])[^;{}#]*?\b\Q$symbol\E\b\s*(?:\([^;{}]*\n\{|\[?[^;{}()]*=\s*\{|\{)/mg) {
        my $start = $-[0];
        my $end = index $source, "\n}", $+[0];
        push @found, [$start, $end] if $end > 0;
    }
    return @found;
}

my %sources;
for my $path (split /\n/, `find @folders -name '*.c' -o -name '*.S' -o -name '*.h'`) {
    $sources{$path} = read_file($path);
}

# All places where the defect can be made: [path, start, end].
sub places {
    my ($defect) = @_;
    my ($file, $symbol) = $defect->{in} =~ /^(?:(\S+):)?(\S+)$/
        or die "$defect->{name}: in FUNCTION or in FILE:FUNCTION\n";
    my $pattern = pattern($defect->{text});
    my @places;
    for my $path (sort keys %sources) {
        next if defined $file && $path !~ m{(^|/)\Q$file\E$} || index($sources{$path}, $symbol) < 0;
        for my $definition (definitions($sources{$path}, $symbol)) {
            my ($start, $end) = @$definition;
            my $body = substr $sources{$path}, $start, $end - $start;
            push @places, [$path, $start + $-[0], $start + $+[0]] while $body =~ /$pattern/g;
        }
    }
    return @places;
}

sub one_place {
    my ($defect) = @_;
    my @places = places($defect);
    die "'$defect->{name}' applies to ", scalar @places, " places\n" if @places != 1;
    return $places[0];
}

sub check {
    my $bad = 0;
    my %names;
    for my $defect (@_) {
        my @places = places($defect);
        print "'$defect->{name}' applies to ", scalar @places, " places in $defect->{in}\n" if @places != 1;
        print "'$defect->{name}' is listed twice\n" if $names{$defect->{name}}++;
        $bad += @places != 1 || $names{$defect->{name}} > 1;
    }
    return $bad;
}

my ($verb, $number) = @ARGV;
my @defects = read_list();
if ($verb eq 'check') {
    my $bad = check(@defects);
    print scalar @defects, " defects, $bad that do not apply\n";
    exit($bad ? 1 : 0);
} elsif ($verb eq 'names') {
    print $_ + 1, "\t$defects[$_]{tests}\t$defects[$_]{name}\n" for 0 .. $#defects;
} elsif ($verb eq 'path') {
    print one_place($defects[$number - 1])->[0], "\n";
} elsif ($verb eq 'apply') {
    my $defect = $defects[$number - 1];
    my ($path, $start, $end) = @{one_place($defect)};
    substr($sources{$path}, $start, $end - $start) = $defect->{with};
    open my $file, '>', $path or die "$path: $!\n";
    print $file $sources{$path};
    close $file or die "$path: $!\n";
} else {
    die "apply.pl check | names | path NUMBER | apply NUMBER\n";
}

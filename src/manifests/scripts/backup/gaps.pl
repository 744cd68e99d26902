# Prints which transactions of the group are not in a binary log, though their numbers lie between its two ends: as
# `first-last@time`, joined by commas, with the time of the transaction before them. A statement that fails leaves such a
# gap, for it takes a number and is not logged. So does a session with sql_log_bin=0, whose rows the other nodes have all
# the same, and a time without any log.
use strict;
use warnings;

# Of every event: time, type, server, size, end, flags. A transaction's first event goes on with its number and domain.
use constant {MAGIC => "\xfebin", HEADER => 19, GTID_EVENT => 162, GTID => 12, GROUP => 0};
# A description has a limit; the last gap that fits covers all that follow.
use constant MOST => 50;

my ($file, $from, $to) = @ARGV;
my ($before, $time, @gaps) = ($from, 0);

sub next_is {
    my ($number) = @_;
    return if $number <= $before;
    if ($number > $before + 1) {
        push @gaps, [$before + 1, $number - 1, $time] if @gaps < MOST;
        $gaps[-1][1] = $number - 1;
    }
    $before = $number;
}

open(my $log, '<:raw', $file) or die "cannot read $file: $!\n";
read($log, my $magic, length MAGIC);
die "$file is no binary log\n" if $magic ne MAGIC;
while (read($log, my $head, HEADER) == HEADER) {
    my ($at, $type, undef, $size) = unpack 'V C V V', $head;
    die "$file is damaged\n" if $size < HEADER;
    my $rest = $size - HEADER;
    # The first event says when the log was begun.
    $time ||= $at;
    if ($type == GTID_EVENT && $rest >= GTID) {
        last if read($log, my $body, GTID) < GTID;
        my ($number, $domain) = unpack 'Q< V', $body;
        $rest -= GTID;
        if ($domain == GROUP) {
            next_is($number);
            $time = $at;
        }
    }
    seek $log, $rest, 1 or die "cannot read $file: $!\n";
}
next_is($to + 1);
print join(',', map { "$_->[0]-$_->[1]\@$_->[2]" } @gaps), "\n";

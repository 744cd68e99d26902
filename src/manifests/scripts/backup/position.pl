# Passes a backup stream through and writes down the position in the group's history that is in it. The stream is the
# only place where mariadb-backup leaves it.
use strict;
use warnings;

# Of a pipe (see fcntl(2)); the largest that everybody may have. With the usual 64 KiB, processes take turns too often.
use constant {F_SETPIPE_SZ => 1031, PIPE_BYTES => 1 << 20};

my ($file) = @ARGV;
my ($found, $tail, $block) = ('', '', '');
binmode STDIN;
binmode STDOUT;
fcntl($_, F_SETPIPE_SZ, PIPE_BYTES) for *STDIN, *STDOUT;
while (my $read = sysread(STDIN, $block, PIPE_BYTES) // die "cannot read: $!\n") {
    my $text = $tail . $block;
    # The file's name, the head of its part of the stream, then its text.
    if (index($text, '_galera_info') >= 0 && $text =~ /_galera_info.{1,64}?([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}:\d+)\s/s) {
        $found = $1;
    }
    # Name and text may lie on both sides of a border between two blocks.
    $tail = substr($text, -200);
    for (my $sent = 0; $sent < $read;) {
        my $count = syswrite(STDOUT, $block, $read - $sent, $sent);
        die "cannot write: $!\n" unless defined $count;
        $sent += $count;
    }
}
open(my $out, '>', $file) or die "cannot write $file: $!\n";
print $out "$found\n";
close($out) or die "cannot write $file: $!\n";

# Passes a backup stream through and writes down the position in the group's history that is in it. The stream is the
# only place where mariadb-backup leaves it. Rows of the database are in it too, and may look like anything: so the
# stream is read chunk by chunk, and only the file of that name counts.
use strict;
use warnings;

# Of a pipe (see fcntl(2)); the largest that everybody may have. With the usual 64 KiB, processes take turns too often.
use constant {F_SETPIPE_SZ => 1031, PIPE_BYTES => 1 << 20};
# A chunk: magic, flags, type, length of a path, the path; unless it ends its file, also size, offset, checksum, data.
use constant {MAGIC => 'XBSTCK01', FIXED => 14, SIZES => 20, LONGEST_PATH => 4096};

my ($file) = @ARGV;
my ($head, $left, $ours, $text, $block) = ('', 0, 0, '', '');

sub follow {
    my $at = 0;
    while ($at < length $block) {
        if ($left > 0) {
            my $here = length($block) - $at;
            $here = $left if $left < $here;
            $text .= substr($block, $at, $here) if $ours && length($text) < 1024;
            ($left, $at) = ($left - $here, $at + $here);
            next;
        }
        my ($need, $type, $path) = (FIXED, '', 0);
        if (length $head >= FIXED) {
            (my $magic, $type, $path) = unpack 'a8 x a V', $head;
            die "this is no stream of mariadb-backup\n" if $magic ne MAGIC || $path > LONGEST_PATH;
            $need += $path + ($type eq 'E' ? 0 : SIZES);
        }
        my $more = substr $block, $at, $need - length $head;
        $head .= $more;
        $at += length $more;
        next if length $head < $need || $type eq '';
        $ours = substr($head, FIXED, $path) =~ /^(?:mariadb_backup|xtrabackup)_galera_info\z/;
        $left = $type eq 'E' ? 0 : unpack 'Q<', substr $head, -SIZES;
        $head = '';
    }
}

binmode STDIN;
binmode STDOUT;
fcntl($_, F_SETPIPE_SZ, PIPE_BYTES) for *STDIN, *STDOUT;
while (my $read = sysread(STDIN, $block, PIPE_BYTES) // die "cannot read: $!\n") {
    follow();
    for (my $sent = 0; $sent < $read;) {
        my $count = syswrite(STDOUT, $block, $read - $sent, $sent);
        die "cannot write: $!\n" unless defined $count;
        $sent += $count;
    }
}
my ($found) = $text =~ /^([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}:\d{1,18})\s/;
open(my $out, '>', $file) or die "cannot write $file: $!\n";
print $out $found // '', "\n";
close($out) or die "cannot write $file: $!\n";

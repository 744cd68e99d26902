# Answers requests over HTTP: /ready for load balancers, /live for kubelet, /state for peers. `health.pl ADDRESS` listens
# on it; without an address, one request comes on standard input.
#
# Everybody asks every second, so an answer must cost next to nothing: no program is started for one, and the server is
# asked in its own protocol. Each answer takes a new connection, since one that stays open would go on working when nobody
# else gets in.
use strict;
use warnings;
use Fcntl qw(:DEFAULT :flock);
use POSIX qw(WNOHANG);
use Socket qw(:DEFAULT IPPROTO_IPV6 IPV6_V6ONLY inet_pton pack_sockaddr_in6);

use constant {
    PORT => 9200,
    # Answers at the same time.
    MOST => 32,
    # Seconds for a whole answer, and for the server's part in it.
    ANSWER_LIMIT => 8,
    SERVER_LIMIT => 2,
    # A server that has answered before and is silent for this many seconds hangs.
    PATIENCE => 300,
    # Bytes of a request, or of one of the small files that are looked at.
    MOST_READ => 4096,
    NOBODY => '00000000-0000-0000-0000-000000000000',
};
# Of the client/server protocol: CLIENT_PROTOCOL_41, CLIENT_SECURE_CONNECTION and CLIENT_PLUGIN_AUTH, utf8mb4_general_ci,
# COM_QUERY, COM_QUIT, and the first bytes of packets.
use constant {CAPABLE => 0x88200, UTF8MB4 => 45, QUERY => "\x03", QUIT => "\x01", OKAY => 0, NULL => 0xfb, LAST => 0xfe, ERROR => 0xff};

my $RUN = $ENV{RUN} // '/run/galeractl';
my $STATE = $ENV{STATE} // '/galeractl/state';
my $VOLUME = $ENV{VOLUME} // '/var/lib/mysql';
my $UUID = qr/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/;

# The lines of a small file; what is no file has none, and on the volume no link is followed.
sub lines {
    my ($path) = @_;
    my $link = $path =~ m{^\Q$VOLUME\E/} ? O_NOFOLLOW : 0;
    my $file;
    return unless sysopen($file, $path, O_RDONLY | O_NONBLOCK | $link) && -f $file;
    sysread $file, my $text, MOST_READ;
    return split /\n/, $text // '';
}

sub word {
    my ($name) = @_;
    my ($line) = lines("$RUN/$name");
    return $line // '';
}

sub answer {
    my ($status, $body) = @_;
    $body .= "\n";
    my $length = length $body;
    print "HTTP/1.0 $status\r\nContent-Type: text/plain\r\nContent-Length: $length\r\nConnection: close\r\n\r\n$body";
    return;
}

sub bytes {
    my ($server, $count) = @_;
    my $read = '';
    while (length $read < $count) {
        sysread($server, $read, $count - length $read, length $read) or die "the server has closed the connection\n";
    }
    return $read;
}

# The next packet. One that says no ends the conversation.
sub packet {
    my ($server) = @_;
    my ($low, $high) = unpack 'v C', bytes($server, 4);
    my $packet = bytes($server, $low + ($high << 16));
    die {code => unpack 'x v', $packet} if length $packet >= 3 && ord $packet == ERROR;
    return $packet;
}

sub send_packet {
    my ($server, $number, $packet) = @_;
    $packet = substr(pack('V', length $packet), 0, 3) . chr($number) . $packet;
    (syswrite($server, $packet) // 0) == length $packet or die "the server takes nothing\n";
    return;
}

# Names and values, which are all that is asked for, are shorter than the 251 bytes from which on lengths are longer.
sub ask {
    my ($server, $statement) = @_;
    my %rows;
    send_packet($server, 0, QUERY . $statement);
    my $columns = ord packet($server);
    packet($server) for 0 .. $columns;
    while (1) {
        my $row = packet($server);
        last if ord $row == LAST && length $row < 9;
        my @fields;
        while (length $row) {
            my $length = unpack 'C', $row;
            die "a longer value than was asked for\n" if $length > NULL;
            push @fields, $length == NULL ? '' : substr $row, 1, $length;
            substr $row, 0, $length == NULL ? 1 : 1 + $length, '';
        }
        $rows{$fields[0]} = $fields[1] if @fields == 2;
    }
    return %rows;
}

sub converse {
    socket(my $server, AF_UNIX, SOCK_STREAM, 0) or die "$!\n";
    connect($server, pack_sockaddr_un("$RUN/mysqld.sock")) or die "$!\n";
    packet($server);
    send_packet($server, 1, pack 'V V C x23 Z* C Z*', CAPABLE, 1 << 24, UTF8MB4, 'mysql', 0, 'unix_socket');
    ord packet($server) == OKAY or die "the server wants more than a name\n";
    my $names = join ',', map {"'wsrep_$_'"} qw(cluster_status local_state ready connected cluster_state_uuid
        local_state_comment last_committed);
    my %rows = (
        ask($server, "SHOW GLOBAL STATUS WHERE Variable_name IN ($names)"),
        ask($server, "SHOW GLOBAL VARIABLES LIKE 'wsrep_reject_queries'"),
    );
    # Without a goodbye, the server would log each as a connection that was broken off.
    send_packet($server, 0, QUIT);
    return %rows;
}

# What the server says of itself; the number of its error where it says no; and whether it is silent.
sub ask_server {
    # While a transfer runs there is no socket.
    return ({}, 0, 0) unless -S "$RUN/mysqld.sock";
    my %rows = eval {
        local $SIG{ALRM} = sub { die "the server has not answered in time\n" };
        alarm SERVER_LIMIT;
        converse();
    };
    my $why = $@;
    alarm ANSWER_LIMIT;
    # A server that says no, such as one with too many connections, is alive.
    return ({}, $why->{code}, 0) if ref $why;
    return (\%rows, 0, $why ne '');
}

# All its connections are taken, which says nothing about its place in the group: what it has told of last counts.
sub as_told {
    my ($status, $uuid) = word('wsrep') =~ /^status=(synced|donor) primary=yes uuid=($UUID) / or return {};
    return {
        wsrep_cluster_status => 'Primary', wsrep_ready => 'ON', wsrep_cluster_state_uuid => $uuid,
        wsrep_local_state => 4, wsrep_local_state_comment => $status,
    };
}

# The highest position that this member has committed, kept beside its data: when a volume is lost or comes back older
# than it was, this says what has existed. Written by one at a time, every two seconds at most, and never lowered.
sub is_remembered {
    my ($uuid, $committed) = @_;
    my ($known, $at) = (lines("$VOLUME/seen"), '', '');
    my $now = time;
    return 1 if $at =~ /^at=([0-9]{1,12})\z/ && $now - $1 < 2 && $now >= $1;
    return $known =~ /^position=\Q$uuid\E:([0-9]{1,18})\z/ && $1 >= $committed;
}

sub remember {
    my ($uuid, $committed) = @_;
    # Looked at before, since most answers need no lock, and again with it.
    return if $committed !~ /^[0-9]{1,18}\z/ || is_remembered($uuid, $committed);
    open my $lock, '>', "$RUN/seen.lock" or return;
    return if !flock($lock, LOCK_EX | LOCK_NB) || is_remembered($uuid, $committed);
    sysopen my $seen, "$VOLUME/seen.new", O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW or return;
    print {$seen} "position=$uuid:$committed\nat=" . time . "\n" or return;
    close $seen or return;
    rename "$VOLUME/seen.new", "$VOLUME/seen";
    return;
}

sub touch {
    my ($path) = @_;
    utime(undef, undef, $path) or sysopen my $file, $path, O_WRONLY | O_CREAT;
    return;
}

# Seconds for which a server that was up has not answered.
sub silence {
    my ($silent, $phase) = @_;
    if (!$silent || $phase ne 'up' || -e "$VOLUME/data/sst_in_progress") {
        unlink "$RUN/silent";
        return 0;
    }
    sysopen my $file, "$RUN/silent", O_WRONLY | O_CREAT or return 0;
    return time - (stat $file)[9];
}

# The history that this member must follow: by the record, or by the file beside its data.
sub expected {
    my ($recorded) = lines("$STATE/uuid");
    return $recorded if defined $recorded && $recorded ne '';
    for (lines("$VOLUME/identity")) {
        return lc($1) =~ /^($UUID)\z/ ? $1 : '' if /^uuid[=:]\s*(\S*)/;
    }
    return '';
}

# Who keeps the server down, and since when, as far as the file on the volume says so.
sub held_by {
    my ($by, $since) = ('', '');
    for (lines("$VOLUME/HOLD")) {
        $by = "by=$1 " if /^by=([A-Za-z0-9@._-]{1,100})\z/;
        $since = "since=$1 " if /^at=([0-9]{1,12})\z/;
    }
    return $by . $since;
}

sub state {
    my $wsrep = word('wsrep');
    my $held = word('held');
    # A volume whose data was put aside is not one that never had any.
    $held = 'kept' if $held eq 'nothing' && grep {-d} "$VOLUME/restore.old", glob "$VOLUME/aside.*";
    # A component that has lost track of its origin is none that anybody could join.
    $wsrep =~ s/primary=yes/primary=no/ if index($wsrep, 'uuid=' . NOBODY) >= 0;
    my $primary = $wsrep =~ /primary=yes/ ? 'yes' : 'no';
    # One that gives a transfer has everything as well: it counts together with the joiner that it serves.
    # One that is about to end gives nothing any more.
    my $serves = $primary eq 'yes' && !-e "$RUN/draining" && $wsrep =~ /status=(?:synced|donor|joined)/ ? 'yes' : 'no';
    my $phase = word('phase');
    # What a restore has left, and whether the data is still where the server has it.
    my @left;
    push @left, 'prepared' if -e "$VOLUME/restore.new";
    push @left, 'kept' if -e "$VOLUME/restore.old";
    push @left, 'aside' if grep {-d} glob "$VOLUME/aside.*";
    push @left, 'emptied' if $phase eq 'up' && !-d "$VOLUME/data/mysql";
    my $held_by = $phase eq 'held' ? held_by() : '';
    my $first = join '', map { my $position = word($_); $position eq '' ? '' : "$_=$position " } qw(gives begins copy);
    return answer('200 OK', sprintf 'phase=%s serves=%s primary=%s held=%s left=%s crashes=%s %s%s%s',
        $phase || 'none', $serves, $primary, $held || 'none', join(',', @left) || 'none', word('crashes') || 0, $held_by, $first,
        $wsrep || 'status=closed');
}

sub readiness {
    my ($server, $phase) = @_;
    my $uuid = $server->{wsrep_cluster_state_uuid} // '';
    my $status = $server->{wsrep_cluster_status} // '';
    my $primary = $status eq 'Primary' && $uuid ne '' && $uuid ne NOBODY ? 'yes' : 'no';
    my $expected = expected();
    # A donor goes on serving: its transfer does not block. Files that were removed under a running server are gone with
    # its end.
    my $ready = $primary eq 'yes'
        && ($server->{wsrep_ready} // '') eq 'ON'
        && ($server->{wsrep_local_state} // '') =~ /^[24]\z/
        && ($server->{wsrep_reject_queries} // 'NONE') eq 'NONE'
        && ($expected eq '' || $uuid eq $expected)
        && -d "$VOLUME/data/mysql" ? 'yes' : 'no';
    if ($ready eq 'yes') {
        # It is about to end: to the proxies this answer means that nobody else is to come, and that those who are here may
        # stay.
        if (-e "$RUN/draining") { $ready = 'ends' } else { remember($uuid, $server->{wsrep_last_committed} // '') }
    }
    return ($ready, sprintf 'phase=%s primary=%s ready=%s state=%s uuid=%s',
        $phase || 'none', $primary, $ready, $server->{wsrep_local_state_comment} || 'closed', $uuid || 'none');
}

sub respond {
    alarm ANSWER_LIMIT;
    local $SIG{PIPE} = 'IGNORE';
    my $request = '';
    while ($request !~ /\r?\n\r?\n/ && length $request < MOST_READ) {
        sysread(STDIN, $request, MOST_READ - length $request, length $request) or last;
    }
    my ($path) = $request =~ /^\S+ (\S+)/ or return;
    # A node that is about to end waits until those who lead clients to it have seen that; kubelet leads nobody.
    touch("$RUN/led") if $path eq '/ready' && $request !~ /^User-Agent: kube-probe/m;
    return state() if $path eq '/state';
    my ($server, $error, $silent) = ask_server();
    $server = as_told() if $error == 1040 || $error == 1203 || $error == 1226;
    my $phase = word('phase');
    my ($ready, $summary) = readiness($server, $phase);
    if ($path eq '/live') {
        # Only a server that has left the group for good or hangs is helped by a restart. Non-Primary, joining or
        # waiting servers are not: killing them destroys what they wait with.
        return answer('503 Service Unavailable', $summary) if ($server->{wsrep_connected} // 'ON') eq 'OFF';
        return answer('503 Service Unavailable', "$summary silent=yes") if silence($silent, $phase) >= PATIENCE;
        return answer('200 OK', $summary);
    }
    my %status = (yes => '200 OK', ends => '404 Not Found', no => '503 Service Unavailable');
    return answer($status{$ready}, $summary);
}

# Each answer is given by a child: one that waits for a silent server keeps nobody else waiting.
sub serve {
    my ($address) = @_;
    my $sixth = $address =~ /:/;
    socket(my $door, $sixth ? AF_INET6 : AF_INET, SOCK_STREAM, 0) or die "cannot open a socket: $!\n";
    setsockopt($door, SOL_SOCKET, SO_REUSEADDR, 1) or die "cannot use port ${\PORT} again: $!\n";
    # An address of the sixth version takes connections of both.
    setsockopt($door, IPPROTO_IPV6, IPV6_V6ONLY, 0) if $sixth;
    my $packed = inet_pton($sixth ? AF_INET6 : AF_INET, $address) // die "$address is no address\n";
    bind($door, $sixth ? pack_sockaddr_in6(PORT, $packed) : pack_sockaddr_in(PORT, $packed))
        or die "cannot take port ${\PORT}: $!\n";
    listen($door, SOMAXCONN) or die "cannot listen: $!\n";
    my $answering = 0;
    local $SIG{CHLD} = sub { };
    while (1) {
        my $came = accept(my $client, $door);
        $answering-- while waitpid(-1, WNOHANG) > 0;
        # Who gets no answer asks again in a second.
        next if !$came || $answering >= MOST;
        my $child = fork;
        if (!defined $child || $child > 0) {
            $answering++ if $child;
            next;
        }
        close $door;
        open STDIN, '<&', $client or exit 1;
        open STDOUT, '>&', $client or exit 1;
        respond();
        exit 0;
    }
}

@ARGV ? serve($ARGV[0]) : respond();

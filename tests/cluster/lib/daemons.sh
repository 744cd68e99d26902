# shellcheck shell=bash
# Starting programs that outlive this script, and knowing them again.

# start_daemon NAME CGROUP COMMAND...
start_daemon() {
	local name=$1 group=$2 log=$STATE/log/$1.log
	shift 2
	mkdir -p "$STATE/log" "$RUN/pids"
	[[ ! -e $log ]] || mv "$log" "$log.1"
	(
		# The lock belongs to this command, not to what it starts.
		exec 9>&-
		printf '%d' "$BASHPID" > "$(cgroup_process_root)/$CGROUP/$group/cgroup.procs"
		# Detached, so that closing the caller's terminal does not end it.
		# They live for an hour on a machine with room: collecting garbage would be a fifth of what they do.
		GOGC=400 exec setsid "$@"
	) > "$log" 2>&1 < /dev/null &
	printf '%d\n' $! > "$RUN/pids/$name"
	printf '%s\n' "$group" > "$RUN/pids/$name.cgroup"
}

# The pid in a file may by now belong to anybody; its cgroup tells.
daemon_pid() {
	local pid group
	[[ -e $RUN/pids/$1 && -e $RUN/pids/$1.cgroup ]] || return 1
	pid=$(< "$RUN/pids/$1")
	group=$(< "$RUN/pids/$1.cgroup")
	grep -qs ":/$CGROUP/$group$" "/proc/$pid/cgroup" || return 1
	printf '%d\n' "$pid"
}

daemon_alive() { daemon_pid "$1" > /dev/null; }

# await_daemon NAME SECONDS COMMAND...: until COMMAND says yes; ends early, with
# the log, when the daemon has died.
await_daemon() {
	local name=$1 deadline=$((SECONDS + $2))
	shift 2
	until "$@"; do
		daemon_alive "$name" || die_with_log "$name has ended" "$STATE/log/$name.log"
		((SECONDS < deadline)) || die_with_log "$name does not answer" "$STATE/log/$name.log"
		sleep 0.1
	done
}

# Holds a lease for as long as standard input goes on. Lines of the protocol begin with "windlass ".
#   $1 directory  $2 holder (JSON, one line)  $3 seconds of silence until the fence
#   $4 Kamal's lock directory, or nothing  $5 its details  $6 run id
#   $7 the sshd of the connection that the lease is for, where that is another one than this; or nothing
# Exit: 75 held, 76 held by Kamal, 78 cannot fence, 127 a command is missing.
umask 077;
# The cleaning up goes on when the other end of our output is gone.
trap "" PIPE HUP;
say() { printf "windlass %s" "$1"; echo; };
for c in flock timeout; do
  command -v "$c" > /dev/null 2>&1 || { say "missing $c"; exit 127; };
done;
# The fence ends the parent, which must be the sshd of this one connection.
p=$(cat "/proc/$PPID/comm" 2> /dev/null);
case "$p" in ""|sshd*|dropbear*) ;; *) say "parent $p"; exit 78;; esac;
[ "$PPID" -gt 1 ] || { say "parent init"; exit 78; };
o="$7";
if [ -n "$o" ]; then
  p=$(cat "/proc/$o/comm" 2> /dev/null);
  case "$p" in sshd*|dropbear*) ;; *) say "parent $p"; exit 78;; esac;
fi;
# Ends these processes; 5 s to obey.
end() {
  kill "$@" 2> /dev/null;
  i=0;
  while [ "$i" -lt 5 ]; do
    a=;
    for q in "$@"; do if kill -0 "$q" 2> /dev/null; then a=1; fi; done;
    if [ -z "$a" ]; then break; fi;
    i=$((i + 1));
    sleep 1;
  done;
  kill -9 "$@" 2> /dev/null;
};
mkdir -p "$1" || exit 73;
: >> "$1/lease" || exit 73;
exec 9>> "$1/lease" || exit 73;
# Somebody who only looks holds it for a moment.
flock -n 9 || { sleep 1; flock -n 9; } || { say "held $(head -n 1 "$1/lease")"; exit 75; };
k="$4";
if [ -n "$k" ]; then
  mkdir -p "$(dirname "$k")" || exit 73;
  # A directory with our mark is stale: its holder had the lease that we have now.
  if mkdir "$k" 2> /dev/null || [ -f "$k/windlass" ]; then
    printf "%s" "$6" > "$k/windlass" && printf "%s" "$5" > "$k/details" || exit 73;
  elif [ -d "$k" ]; then
    say "kamal $(head -n 20 "$k/details" 2> /dev/null | tr -d "[:space:]")"; exit 76;
  else
    echo "cannot create $k" >&2; exit 73;
  fi;
fi;
{ printf "%s" "$2"; echo; } > "$1/lease" || exit 73;
# The watchdog, with nothing of ours open: it would keep the lock or the channel. A beat is a signal to it; until it has
# its trap the signal is ignored. Without a beat for long enough it ends the connection, and lets nobody stop it then.
trap "" USR1;
(
  trap "b=1" USR1;
  n=0;
  while [ "$n" -lt "$3" ]; do
    b=;
    sleep 5;
    if [ -n "$b" ]; then n=0; else n=$((n + 5)); fi;
  done;
  trap "" TERM;
  end "$PPID" $o;
) < /dev/null > /dev/null 2>&1 9>&- &
# The blank keeps csh from taking the mark for its history.
w=$! ;
say holding;
# Answering forks nothing: while an engine starts containers, a busy host may hold up every fork for many seconds.
while read -r l; do
  if [ "$l" = bye ]; then o=; break; fi;
  printf "windlass echo %s" "$l";
  echo;
  kill -USR1 "$w" 2> /dev/null || break;
done;
# A watchdog that has begun to end the connection finishes: nothing that the connection still carries may happen once
# another run holds the lease.
kill "$w" 2> /dev/null;
wait "$w" 2> /dev/null;
# This connection broke, and the one that the lease is for may not have: it must not outlive the lease.
if [ -n "$o" ]; then end "$o"; fi;
if [ -n "$k" ] && [ -f "$k/windlass" ]; then
  rm -f "$k/details";
  rm -f "$k/windlass";
  rmdir "$k" 2> /dev/null;
fi;
: > "$1/lease";
exec 9>&-;
say released

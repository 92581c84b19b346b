# Passes standard input to a unix socket and prints its answer, where sshd forwards no sockets. Arguments: the socket,
# a Perl and a Python program that do it.
export LC_ALL=C;
if command -v perl > /dev/null 2>&1; then exec perl -MSocket -e "$2" "$1"; fi;
if command -v python3 > /dev/null 2>&1; then exec python3 -c "$3" "$1"; fi;
echo "sshd forwards no sockets on this host, and it has neither perl nor python3 to reach $1 with" >&2;
exit 69

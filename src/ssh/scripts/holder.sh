# Who holds the lease of directory $1, without taking it for longer than a moment.
[ -e "$1/lease" ] || { echo "@free"; exit 0; };
command -v flock > /dev/null || { echo "@free"; exit 0; };
exec 9< "$1/lease" || exit 77;
if flock -s -n 9; then echo "@free"; else echo "@held"; cat "$1/lease"; fi

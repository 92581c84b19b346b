# Appends standard input to $1 by one write, with fsync. $2: its length in bytes: a cut connection ends the input early,
# and half a line must not be written. $3: a temporary name in the same directory. A torn last line gets its newline first.
umask 077;
t="$3";
: > "$t" || exit 73;
if [ -s "$1" ] && [ -n "$(tail -c 1 "$1")" ]; then echo > "$t"; fi;
n=$(($(wc -c < "$t") + $2));
cat >> "$t";
[ "$(wc -c < "$t")" -eq "$n" ] || { rm -f "$t"; echo "the input was cut off" >&2; exit 74; };
e=$(dd if="$t" of="$1" bs="$n" count=1 oflag=append conv=notrunc,fsync 2>&1);
r=$?;
[ "$r" -eq 0 ] || echo "$e" >&2;
rm -f "$t";
exit "$r"

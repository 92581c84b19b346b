# Replaces $1 by standard input. $2: its length in bytes: a cut connection ends the input early, and half a file must not
# take the place of a whole one. $3: a temporary name in the same directory. $4: mode.
umask 077;
t="$3";
cat > "$t" || { rm -f "$t"; exit 73; };
[ "$(wc -c < "$t")" -eq "$2" ] || { rm -f "$t"; echo "the input was cut off" >&2; exit 74; };
chmod "$4" "$t" && sync "$t" && mv -f "$t" "$1" && sync "$(dirname "$1")" || { rm -f "$t"; exit 73; }

# Each argument is a piece of shell; the answer is what words it becomes: their number, then length and text of each.
LC_ALL=C;
cd "$HOME" || exit 1;
show() { echo "$#"; for w in "$@"; do echo "${#w}"; printf "%s" "$w"; echo; done; };
echo "@words";
for piece in "$@"; do ( eval "show $piece" ) 2> /dev/null || echo none; done;
echo "@done"

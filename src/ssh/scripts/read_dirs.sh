# Prints all regular files of the directories, two levels deep: "@dir", then for each file "@file PATH", base64, "@end".
# Records on the second level (*.json) are written once and may be many: they come as one, "@bulk", lines
# "SIZE PATH", "@data", base64 of all of them, "@end", which forks a handful of programs instead of one a file.
# A base64 line never begins with "@".
export LC_ALL=C;
each() {
  { find "$1" -mindepth "$2" -maxdepth "$2" -type f ! -name "$3" || echo "@broken"; } | while IFS= read -r f; do
    [ "$f" = "@broken" ] && exit 77;
    if [ -f "$f" ]; then
      echo "@file ${f#"$1"/}";
      if base64 < "$f"; then echo "@end"; elif [ -e "$f" ]; then exit 77; else echo "@gone"; fi;
    fi;
  done;
};
bulk() {
  cd "$1" || exit 77;
  set -- */*.json;
  [ "$#" -gt 7 ] || exit 1;
  s=$(wc -c "$@" 2>/dev/null) || exit 1;
  echo "@bulk";
  echo "$s";
  echo "@data";
  cat "$@" | { base64 -w 0 2>/dev/null || base64; } && echo && echo "@end";
};
for d in "$@"; do
  echo "@dir";
  if [ -d "$d" ]; then
    [ -r "$d" ] && [ -x "$d" ] || { echo "cannot read $d: permission denied" >&2; exit 77; };
    each "$d" 1 "" || exit 77;
    if (bulk "$d"); then o="*.json"; else o=""; fi;
    each "$d" 2 "$o" || exit 77;
  else
    case "$(LC_ALL=C ls -d "$d" 2>&1)" in *": Permission denied") echo "cannot read $d: permission denied" >&2; exit 77;; esac;
  fi;
done;
echo "@done"

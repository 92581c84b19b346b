# Prints all regular files of the directories, two levels deep: "@dir", then for each file "@file PATH", base64, "@end".
# A base64 line never begins with "@".
export LC_ALL=C;
for d in "$@"; do
  echo "@dir";
  if [ -d "$d" ]; then
    [ -r "$d" ] && [ -x "$d" ] || { echo "cannot read $d: permission denied" >&2; exit 77; };
    { find "$d" -mindepth 1 -maxdepth 2 -type f || echo "@broken"; } | while IFS= read -r f; do
      [ "$f" = "@broken" ] && exit 77;
      if [ -f "$f" ]; then
        echo "@file ${f#"$d"/}";
        if base64 < "$f"; then echo "@end"; elif [ -e "$f" ]; then exit 77; else echo "@gone"; fi;
      fi;
    done || exit 77;
  else
    case "$(LC_ALL=C ls -d "$d" 2>&1)" in *": Permission denied") echo "cannot read $d: permission denied" >&2; exit 77;; esac;
  fi;
done;
echo "@done"

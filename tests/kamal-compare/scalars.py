#!/usr/bin/env python3
"""Reads plain YAML scalars by Ruby's Psych (the one inside Kamal) and by windlass, and shows where they differ.

    scalars.py [--kamal kamal] [--windlass target/debug/windlass] [--count 20000] [--seed 1]

Each scalar is a variable of `env: clear:` in one configuration; both sides say what text a container would get, or that
the value is no string. Half of them are pieces that mean something to YAML put together, half are random characters.
"""
import argparse, json, os, random, subprocess, sys, tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
PIECES = ["0", "00", "07", "08", "1", "12", "60", "59", "1_000", "1,000", "_", ",", ":", "::", ".", "..", "-", "+", "e", "e+3", "E-2", "0x", "0b", "0o", "1F",
          "yes", "No", "ON", "off", "true", "False", "null", "~", "y", "n", "inf", "nan", ".inf", "2024", "-01", "-1", "-31", "-02-30", "T10:00:00",
          " 10:00:00", "Z", "+02:00", " +2", "=", "<<", "a", "Ab", "/", "é", "'", '"', " ", "%", "*1", "&a", "22:22", "80:80", "1:30:00", "0755", "$X", "${X}", "\\", "(", "|", ";"]


def scalars(count, seed):
    rng = random.Random(seed)
    found = set(PIECES) | {a + b for a in PIECES for b in PIECES}
    while len(found) < count:
        if rng.random() < 0.5:
            found.add("".join(rng.choice(PIECES) for _ in range(rng.randint(2, 4))))
        else:
            found.add("".join(rng.choice("0123456789_,.:+-exbXENaTZ ~") for _ in range(rng.randint(1, 10))))
    return sorted(s for s in found if plain(s))


def plain(s):
    """Whether it can stand unquoted behind `key: `."""
    if not s or s != s.strip() or s[0] in "'\"%*&!|>@`[]{},#?=" and s != "=" or s[0] in "-?:" and (len(s) == 1 or s[1] == " "):
        return False
    return "<%" not in s and ": " not in s and " #" not in s and not s.endswith(":") and "\t" not in s


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kamal", default=os.environ.get("KAMAL", "kamal"))
    parser.add_argument("--windlass", default=str(HERE.parents[1] / "target/debug/windlass"))
    parser.add_argument("--count", type=int, default=20000)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    values = scalars(args.count, args.seed)
    with tempfile.TemporaryDirectory() as scratch:
        scratch = Path(scratch)
        (scratch / "in.json").write_text(json.dumps(values))
        ruby = """<% require "json"
          out = JSON.parse(File.read("in.json")).map do |s|
            v = (YAML.unsafe_load("k: " + s)["k"] rescue :error)
            case v when :error then "error" when Date, Time, nil then nil when Hash, Array then "error" else v.to_s end
          end
          File.write("out.json", JSON.generate(out)) %>"""
        (scratch / "oracle.yml").write_text(ruby + "\nservice: a\nimage: b\nservers: [h]\nregistry: {username: a, password: b}\nbuilder: {arch: amd64}\n")
        run = subprocess.run([args.kamal, "config", "-c", "oracle.yml", "--version", "1"], cwd=scratch, capture_output=True, text=True)
        if not (scratch / "out.json").exists():
            sys.exit(f"{args.kamal} did not run the oracle:\n{run.stdout}{run.stderr}")
        expected = json.loads((scratch / "out.json").read_text())
        texts = [(f"V{n}", s, e) for n, (s, e) in enumerate(zip(values, expected)) if e != "error"]
        good = [t for t in texts if t[2] is not None]
        differ = []
        for start in range(0, len(good), 4000):
            part = good[start:start + 4000]
            body = "".join(f"    {k}: {s}\n" for k, s, _ in part)
            (scratch / "deploy.yml").write_text("service: a\nimage: b\nservers: [h]\nenv:\n  clear:\n" + body)
            run = subprocess.run([os.path.abspath(args.windlass), "config", "--json", "-c", "deploy.yml"], cwd=scratch, capture_output=True, text=True)
            if run.returncode:
                print(run.stderr[:4000])
                sys.exit("windlass refuses what Psych reads as text (above)")
            got = json.loads(run.stdout)["roles"]["web"]["spec"]["env"]["clear"]
            differ += [f"{s!r}: psych {e!r}, windlass {got.get(k)!r}" for k, s, e in part if got.get(k) != e]
        # dates and null are no text: windlass has to say so for each
        none = [t for t in texts if t[2] is None]
        for start in range(0, len(none), 40):
            part = none[start:start + 40]
            body = "".join(f"    {k}: {s}\n" for k, s, _ in part)
            (scratch / "deploy.yml").write_text("service: a\nimage: b\nservers: [h]\nenv:\n  clear:\n" + body)
            run = subprocess.run([os.path.abspath(args.windlass), "config", "-c", "deploy.yml"], cwd=scratch, capture_output=True, text=True)
            differ += [f"{s!r}: psych no text, windlass text" for k, s, _ in part if f"env/clear/{k}: should be a string" not in run.stderr]
    print("\n".join(differ))
    print(f"{len(texts) - len(differ)} of {len(texts)} scalars agree")
    sys.exit(bool(differ))


if __name__ == "__main__":
    main()

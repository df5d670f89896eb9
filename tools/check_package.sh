#!/usr/bin/env bash
# tools/check_package.sh [PYTHON...]: sdist and wheel as `python -m build` makes them, installed with the base dependencies
# alone for each Python (all that are found by default), where a real clip must come out in the right words and every extra
# must ask for itself by name. Leaves nothing behind but its lines.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

pythons=("$@")
if [ ${#pythons[@]} -eq 0 ]; then
    for minor in 11 12 13 14; do
        for found in "$(command -v python3.$minor || true)" "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.$minor.*/bin/python3; do
            if [ -x "$found" ] && "$found" -c "import sys; sys.exit(sys.version_info[:2] != (3, $minor))" 2>/dev/null; then
                pythons+=("$found")
                break
            fi
        done
    done
fi
[ ${#pythons[@]} -gt 0 ] || { echo "no Python from 3.11 on was found: name one" >&2; exit 2; }

"${pythons[0]}" -m venv "$work/build"
"$work/build/bin/python" -m pip install -q --disable-pip-version-check build
(cd "$root" && git ls-files -z --cached --others --exclude-standard | xargs -0 tar c) | (mkdir "$work/source" && tar x -C "$work/source")
"$work/build/bin/python" -m build -q --outdir "$work/dist" "$work/source"  # the wheel is built from the sdist
for file in "$work"/dist/*; do echo "$(basename "$file"): $(($(wc -c <"$file") / 1000)) kB"; done

for python in "${pythons[@]}"; do
    venv="$work/$("$python" -c 'import sys; print("py%d%d" % sys.version_info[:2])')"
    "$python" -m venv "$venv"
    "$venv/bin/python" -m pip install -q --disable-pip-version-check "$work"/dist/*.whl
    heard=$(cd "$work" && "$venv/bin/python" "$root/tools/check_words.py" "$root/../shared/data")
    (cd "$work" && "$venv/bin/python" "$root/tools/check_extras.py" "$root/pyproject.toml" >"$venv/extras")
    echo "$("$python" --version), $("$venv/bin/python" -m pip list 2>/dev/null | tail -n +3 | wc -l) packages," \
        "$(du -sm "$venv/lib" | cut -f1) MB: $heard; $(wc -l <"$venv/extras") extras ask for themselves"
done

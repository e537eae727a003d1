#!/usr/bin/env bash
# Build askaudio as one file that needs no Python, and start it.
#
#   packaging/onefile.sh [FOLDER]       writes FOLDER/askaudio (default: dist), 3 minutes
#
# Needs an environment with askaudio and PyInstaller: pip install . 'pyinstaller>=6.10'. PYTHON names its interpreter.
# The build runs on the system (and C library, or newer) that it was made on.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=${1:-dist}
python=${PYTHON:-python3}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"$python" -m PyInstaller --onefile --name askaudio --noconfirm --log-level WARN \
  --distpath "$out" --workpath "$work" --specpath "$work" \
  --collect-submodules askaudio --collect-data askaudio --copy-metadata askaudio \
  --collect-all lancedb --collect-submodules uvicorn --hidden-import multipart \
  --exclude-module torch --exclude-module scipy --exclude-module matplotlib --exclude-module pandas \
  --exclude-module IPython --exclude-module pytest --exclude-module tkinter --exclude-module pyarrow.tests \
  "$here/onefile_entry.py"

# start it: index three sounds, find one of them, serve the page
askaudio=$(cd "$out" && pwd)/askaudio
"$askaudio" --version
"$python" - "$work/sounds" <<'PY'
import sys, wave, math, array, pathlib
folder = pathlib.Path(sys.argv[1]); folder.mkdir()
for hz in (200, 1000, 4000):
    with wave.open(str(folder / f"tone {hz}.wav"), "wb") as out:
        out.setparams((1, 2, 16000, 0, "NONE", ""))
        out.writeframes(array.array("h", (int(9000 * math.sin(math.tau * hz * n / 16000)) for n in range(16000))).tobytes())
PY
export HOME="$work" ASKAUDIO_STATE="$work/state"
"$askaudio" index "$work/sounds" --collection "$work/collection" --workers 2
"$askaudio" search "a high beep" --collection "$work/collection" --top 3
"$askaudio" serve --collection "$work/collection" --port 18765 & server=$!
for _ in $(seq 60); do
  sleep 1
  if curl -sf localhost:18765/v1/collection; then break; fi
done
id=$(curl -sf localhost:18765/v1/clips | "$python" -c 'import json,sys; print(json.load(sys.stdin)["clips"][0]["clip_id"])')
curl -sf "localhost:18765/v1/clips/$id/peaks?points=10"  # in a process that the server starts
kill -INT "$server" && wait "$server"
du -m "$askaudio"
echo "it runs"

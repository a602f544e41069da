# Functions for the commands in this folder: find a Python, make a virtual environment.

fail() {
  printf '\nerror: %s\n' "$1" >&2
  exit 1
}

# find_python: prints $PYTHON if it is set, else the first interpreter of version 3.11 or later.
find_python() {
  local candidate
  for candidate in ${PYTHON:-python3 python3.13 python3.12 python3.11 python}; do
    if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      printf '%s\n' "$candidate"
      return
    fi
  done
  fail "keras_uai needs Python 3.11 or later. Found: $(${PYTHON:-python3} --version 2>&1 || echo no Python).
Install one, or name it: PYTHON=/path/to/python3.11 $0"
}

# make_environment FOLDER [EXTRAS]: creates a virtual environment with this checkout (editable) if it
# is missing, and installs again if setup.cfg or pyproject.toml changed.
make_environment() {
  local folder=$1 extras=${2:-} python log stamp
  log=$folder/install.log
  stamp=$(cat setup.cfg pyproject.toml; echo "$extras $PWD")
  if [[ -x $folder/bin/python && -f $folder/installed && $(<"$folder/installed") == "$stamp" ]]; then
    echo "Environment: $folder (up to date)"
    return
  fi
  python=$(find_python)
  if [[ ! -x $folder/bin/python ]]; then
    echo "Environment: $folder (new, with $("$python" --version))"
    "$python" -m venv "$folder" ||
      fail "the environment could not be created (on Debian and Ubuntu: apt install python3-venv)."
    echo '*' >"$folder/.gitignore" # hides it from git and linters, as Python 3.13 does
  fi
  echo "Installing keras_uai${extras} and its requirements into $folder; this takes a minute or more ..."
  if ! "$folder/bin/python" -m pip install --disable-pip-version-check -e ".$extras" >"$log" 2>&1; then
    tail -n 15 "$log" >&2
    fail "the installation failed; its output is in $log. It needs a package index."
  fi
  printf '%s\n' "$stamp" >"$folder/installed"
}

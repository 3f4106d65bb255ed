#!/bin/sh
# Give this path where @vscode/test-electron or @vscode/test-cli want the path of a desktop VS Code. See codeShim.ts.
here=$(dirname "$(readlink -f "$0")")
exec "$here/../../../node_modules/.bin/node" "$here/codeShim.ts" "$@"

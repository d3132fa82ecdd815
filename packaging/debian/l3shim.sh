#!/bin/sh
# The Node.js of the package l3shim-node where it is installed, else Debian's.
node=/usr/lib/l3shim/node
[ -x "$node" ] || node=/usr/bin/node
exec "$node" /usr/lib/l3shim/bin/l3shim "$@"

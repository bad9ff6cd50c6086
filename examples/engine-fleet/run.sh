#!/usr/bin/env bash
# An engine orders its own spare part, and an auditor checks all of it: see README.md beside this file.
#   run.sh FOLDER [DATA]      FOLDER is new; DATA is your copy of NASA's C-MAPSS, without it engines are simulated
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
data=${2:+$(cd "$2" && pwd)}
mkdir "$1"
cd "$1"

engine=https://twin.example/engine/FD001-012
part=https://twin.example/part/SN4711
model=urn:twinproof:model:cmapss-turbofan
export TWINPROOF_CHAIN_PASSWORD="worth nothing"   # of the supplier's keystore, on a chain whose coin is worth nothing

field() { # one member of a JSON object: field NAME
  python3 -c 'import json, sys; print(json.load(sys.stdin)[sys.argv[1]])' "$1"
}
title() { printf '\n== %s\n' "$*"; }

title "1  A log, the histories of eleven engines, and a model that learns from them"
if [ -z "$data" ]; then
  python3 "$here/simulate.py" data 12
  data=data
fi
twinproof init node --origin twin.example/log0 --operator https://twin.example/operator
twinproof import cmapss "$data" --units 11 --folder node
twinproof train "$model" --folder node --cycle cycle --setting altitude --setting mach --setting TRA \
  --failed-at-end --quick --folds 2 --promote
twinproof predictor enable --folder node
sed 's/^every_rows = .*/every_rows = 20/' node/twinproof.toml > changed.toml   # a prediction every 20 flights
mv changed.toml node/twinproof.toml

title "2  A chain, and the parties on it"
twinproof chain init node
twinproof chain deploy --folder node
twinproof chain enable --folder node
operator=$(twinproof chain account show --folder node --json | field account)
supplier=$(twinproof chain account new supplier-account.json --light --json | field account)
twinproof chain transfer "$supplier" 10 --folder node
twinproof part accredit "$supplier" --folder node
twinproof key new technician.pem --iss https://twin.example/technician --es256
twinproof grant technician.json --can maintain --twin "$engine" --folder node
twinproof key new supplier.pem --iss https://supplier.example/
twinproof grant supplier.json --can describe --twin "$part" --folder node

title "3  The supplier's part gets a passport"
birth=$(twinproof tell describe "$part" --set serial=SN4711 --key supplier.pem --folder node --json | field index)
token=$(twinproof part mint HPT-7 SN4711 --twin "$part" --entry "$birth" \
  --folder node --account supplier-account.json --json | field token)
twinproof part show "$token" --folder node

title "4  They agree: a prediction below 30 cycles orders, and escrow pays"
cat > terms.toml <<TERMS
supplier = "$supplier"
twins = ["$engine"]
predictor = "node/forecast.json"
technician = "technician.json"
unit = "{cycle}"
below = 30.0
coverage = 0.9
part_number = "HPT-7"
price = "0.5"
[within]
max_age = "2d"
accept = "2d"
ship = "5d"
receive = "1h"
install = "14d"
dispute = "14d"
TERMS
twinproof agreement propose terms.toml --deposit 1 --folder node
twinproof agreement agree 1 --folder node --account supplier-account.json
twinproof policy set "$engine" spare --agreement 1 --unit "{cycle}" --below 30 --coverage 0.9 --folder node

title "5  The node runs, the twelfth engine flies, and the order places itself"
twinproof serve node --port 0 --json > serving.json &
server=$!
trap 'kill "$server" 2>/dev/null || true' EXIT
until [ -s serving.json ]; do kill -0 "$server"; sleep 0.2; done
url=$(field listening < serving.json)
twinproof import cmapss "$data" --units 12 --url "$url" --key node/keys/operator.pem
for _ in $(seq 300); do
  if twinproof agreement show 1-1 --folder node > order.txt 2>/dev/null; then break; fi
  sleep 1
done
cat order.txt

title "6  Delivery: accepted, shipped, received, installed, paid"
twinproof agreement accept 1-1 --folder node --account supplier-account.json
twinproof part offer "$token" "$operator" --until $(($(date +%s) + 7200)) --folder node --account supplier-account.json
twinproof agreement ship 1-1 "$token" --folder node --account supplier-account.json
twinproof part accept "$token" --folder node
twinproof agreement receive 1-1 --folder node --account supplier-account.json
installed=$(twinproof tell installation "$engine" --part "$token" --order 1-1 --contracts node/chain/contracts.json \
  --key technician.pem --url "$url" --json | field index)
twinproof anchor now --folder node
twinproof agreement confirm 1-1 "$installed" --folder node
twinproof agreement withdraw --folder node --account supplier-account.json
until twinproof twin show "$engine" --url "$url" --json | grep -q '"fulfilled"'; do sleep 1; done
twinproof agreement costs 1-1 --folder node

title "7  The auditor: one file, the policy, the operator's card, and blocks that somebody else vouches for"
twinproof anchor now --folder node
mkdir auditor
twinproof prove "$engine" -o auditor/engine.twinproof --with-models --folder node
twinproof anchor export auditor/blocks.txt --folder node
cp node/policy.txt node/operator.json auditor
cd auditor
twinproof verify engine.twinproof --policy policy.txt --operator operator.json --blocks blocks.txt --replay

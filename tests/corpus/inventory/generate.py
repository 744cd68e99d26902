#!/usr/bin/env python3
"""Writes cases.json: inventories, and what Ansible's own reader makes of them for the host `localhost`.

    python3 -m venv /some/venv && /some/venv/bin/pip install ansible-core==2.19.14
    /some/venv/bin/python tests/corpus/inventory/generate.py

The Rust tests read only cases.json. Left out, as galeractl knowingly reads them in another way:
non-ASCII names of groups with combining marks, `\\N{...}`, integers beyond 128 bits in another base, lone
surrogates, more than 10,000 hosts, and the section [mysqld].
"""

import json
import os
import random
import tempfile
import warnings

import ansible.release
from ansible.inventory.data import InventoryData
from ansible.inventory.helpers import get_group_vars
from ansible.plugins.inventory.ini import InventoryModule
from ansible.utils.display import Display
from ansible.utils.vars import combine_vars

warnings.simplefilter("ignore")
for silenced in ("warning", "deprecated", "vvvv", "debug"):
    setattr(Display, silenced, lambda self, *args, **kwargs: None)

HERE = os.path.dirname(os.path.abspath(__file__))
NOT_COMPARED = {"inventory_file", "inventory_dir", "ansible_port", "ansible_python_interpreter", "ansible_connection"}


def kind(value):
    """A value in the words of the Rust type `Literal`."""
    if isinstance(value, bool):
        return {"bool": bool(value)}
    if value is None:
        return "nothing"
    if isinstance(value, (int, float)):
        return {"number": str(value)}
    if isinstance(value, str):
        return {"text": str(value)}
    if isinstance(value, dict):
        return "dict"
    if isinstance(value, (list, tuple, set)):
        return "list"
    raise TypeError(type(value))


def view(text):
    """The variables of localhost, or None if Ansible refuses the file."""
    with tempfile.NamedTemporaryFile("wb", suffix=".conf") as file:
        file.write(text.encode("utf-8"))
        file.flush()
        inventory = InventoryData()
        try:
            InventoryModule().parse(inventory, None, file.name)
            inventory.reconcile_inventory()
        except Exception:
            return None
    # As VariableManager.get_vars orders them: `all`, the other groups, the host.
    host = inventory.get_host("localhost")
    merged = inventory.groups["all"].get_vars()
    merged = combine_vars(merged, get_group_vars([g for g in host.get_groups() if g.name != "all"]))
    merged = combine_vars(merged, host.vars)
    return {str(key): kind(value) for key, value in sorted(merged.items()) if key not in NOT_COMPARED}


def case(text):
    return {"text": text, "vars": view(text)}


with open(os.path.join(HERE, "hand.txt"), encoding="utf-8", newline="\n") as hand:
    HAND = hand.read()

EDGES = [
    "", "\n", "[all:vars]", "[all:vars]\na=1", "[all:vars]\r\na=1\r\nb=2\r\n", "[all:vars]\ra=1\rb=2",
    "\ufeff[all:vars]\na=1", "[all:vars]\na=\u00a0x\u00a0\nb=\u2003y", "[all:vars]\na=caf\u00e9\nb=\"\u65e5\u672c\"\n",
    "[all:vars]\na=1\u2028b=2\u2029c=3\x85d=4\x0be=5\x0cf=6\x1cg=7\x1dh=8\x1ei=9\x1fj=1", "[all:vars]\na=1\tb\n\tc\t=\t2\t",
    "[template_target]\nlocalhost", "[template_target]\nlocalhost ", "[all:vars]\na=1\n\n[template_target]\nlocalhost\n\n\n",
    "[gr\u00fcn]\nlocalhost\n[gr\u00fcn:vars]\na=1\n", "[all:vars]\na='" + "x" * 5000 + "'\n", "[all:vars]\na=" + "(" * 150 + "1" + ")" * 150 + "\n",
    "[all:vars]\na=" + "9" * 4300 + "\nb=" + "9" * 4301 + "\n",
]


def literals(chance):
    """Values made of the pieces that Python's literals are made of, and of near misses."""
    pieces = ["1", "0", "_", ".", "e", "j", "x", "o", "b", "+", "-", "'", '"', "\\", "a", "r", "u", "[", "]", "(", ")",
              "{", "}", ",", ":", " ", "#", "True", "None", "False", "'a'", '"b"', "12", "0.5", "1e5", "0x1f", "0b1", "n",
              "\\n", "\\x41", "\\'", "set()", "...", "é", "\t", "=", ";", "Gi", "m", "/", "@", "1_0", "'''", "10"]
    return "".join(chance.choice(pieces) for _ in range(chance.randint(1, 7))).strip()


def files(chance):
    """Random inventories out of a few groups, hosts and keys, right and wrong lines mixed."""
    groups = ["all", "ungrouped", "template_target", "web", "db", "p", "q"]
    lines = []
    for _ in range(chance.randint(2, 12)):
        group = chance.choice(groups)
        lines.append(chance.choice([
            f"[{group}]", f"[{group}:vars]", f"[{group}:children]", f"[{group}]", f"[{group}:vars]",
        ]))
        state = lines[-1]
        for _ in range(chance.randint(0, 3)):
            key, value = chance.choice("abc"), chance.choice([group, "1", '"x y"', "x # y", "'z'"])
            if state.endswith(":vars]"):
                lines.append(f"{key}={value}")
            elif state.endswith(":children]"):
                lines.append(chance.choice(groups))
            else:
                host = chance.choice(["localhost", "localhost", "other", "n[1:2]"])
                lines.append(chance.choice([host, f"{host} {key}={value}", f"{host} {key}={group}{chance.randint(1, 9)}"]))
    # Declared at the end, so that most of these files are right.
    for group in groups[2:]:
        if chance.random() < 0.9:
            lines.append(f"[{group}]")
    return "\n".join(lines) + "\n"


def main():
    chance = random.Random(20180601)
    cases = [case(text.strip("\n") + "\n") for text in HAND.split("%%\n")]
    cases += [case(text) for text in EDGES]
    right = wrong = 0
    while right < 220 or wrong < 60:
        found = case(files(chance))
        if found["vars"] is None:
            wrong += 1
            if wrong > 60:
                continue
        else:
            right += 1
            if right > 220:
                continue
        cases.append(found)
    for _ in range(60):
        lines = "".join(f"v{index}={literals(chance)}\n" for index in range(30))
        cases.append(case("[all:vars]\n" + lines))
    document = {"ansible-core": ansible.release.__version__, "cases": cases}
    with open(os.path.join(HERE, "cases.json"), "w", encoding="utf-8") as file:
        json.dump(document, file, ensure_ascii=True, indent=0)
        file.write("\n")
    refused = sum(found["vars"] is None for found in cases)
    print(f"{len(cases)} cases, {refused} of them refused")


if __name__ == "__main__":
    main()

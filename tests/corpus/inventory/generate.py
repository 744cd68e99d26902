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


HAND = r'''
[all:vars]
a=1
a=2
%%
[all:vars]
galera_cluster_name=pks
b="60m"
c="192.168.100.40:3260"
[template_target]
localhost
%%
[all:vars]
a = spaced key
b= 'single'
c="double" # comment
d=bare # not a comment
e=bare; not one
f="unclosed
g=half"
h="a" "b"
i="a\tb\x41\101\u00e9\q"
j=r"a\tb"
k=b"bytes\xc3\xa9"
l=u"u"
m="""triple"""
n=''
o=
p="
[template_target]
localhost
%%
localhost a=1 b="two words" c='x y' d="\"quoted\"" e=x#comment f=2
%%
localhost a=1 #comment
localhost b=2
%%
[all:vars]
a=all
b=all
c=all
d=all
[parent:vars]
b=parent
c=parent
d=parent
[child:vars]
c=child
d=child
[parent:children]
child
[child]
localhost d=host
%%
[a:vars]
x=a
[b:vars]
x=b
[a]
localhost
[b]
localhost
%%
[b]
localhost
[a]
localhost
[a:vars]
x=a
ansible_group_priority=10
[b:vars]
x=b
%%
[a]
localhost
[a:vars]
x=1
ansible_group_priority=high
%%
[g:vars]
x=1
%%
[p:children]
missing
%%
[p:children]
c
[c:vars]
x=1
[c]
localhost
%%
[p:children]
p
%%
[p:children]
q
[q:children]
p
%%
[x:children]
all
%%
[all:children]
x
[x]
localhost
[x:vars]
v=1
%%
[x:children]
ungrouped
[x:vars]
v=1
%%
localhost
[x:children]
ungrouped
[x:vars]
v=1
%%
localhost
[ungrouped:vars]
v=1
%%
localhost
[x]
localhost
[x:children]
ungrouped
[x:vars]
v=1
%%
localhost
[p]
localhost
[ungrouped:children]
p
[ungrouped:vars]
v=1
%%
localhost
[y:children]
x
z
[z]
localhost
[x:children]
ungrouped
[x:vars]
v=1
[y:vars]
w=1
%%
[all:vars]
path="C:\New"
other="C:\new"
%%
localhost
[other]
localhost
[ungrouped:vars]
v=1
%%
[all]
localhost
[ungrouped:vars]
v=1
%%
[web]
db[1:3] v=1
localhos[s:u] w=2
%%
db[1:3
%%
db[3]
%%
db[1:2:0]
%%
db[a:c]x[01:10]
%%
db[01:9]
%%
db[c:a]
%%
db[:3]
%%
db[3:]
%%
db[5:1][x]
%%
localhost:22 v=1
%%
[localhost]:22 v=1
%%
localhost: v=1
%%
---
%%
- hosts
%%
"" v=1
%%
'localhost' v=1
%%
local"host" v=1
%%
localhost v
%%
localhost v = 1
%%
localhost "v
%%
localhost v=\
%%
localhost v=a\ b w=\"
%%
[template target]
localhost
%%
[]
localhost
%%
[a:b:c]
localhost
%%
[a:unknown]
localhost
%%
[a:hosts]
localhost v=1
%%
[a] # comment
localhost v=1
%%
[a] ; comment
localhost v=1
%%
[a]#comment
localhost v=1
%%
[a]x
localhost v=1
%%
[ a ]
localhost
%%
[all:vars]
no equals sign
%%
[all:vars]
=value
%%
[all:vars]
a==b
b=c=d
%%
[all:vars]
[next]
localhost
%%
[my-group]
localhost
[my-group:vars]
v=1
[p:children]
my_group
[p:vars]
w=1
%%
[my-group]
localhost
[p:children]
my-group
%%
[1abc]
localhost
[_abc:vars]
v=1
%%
[localhost]
localhost v=1
[other]
localhost
[other:vars]
v=2
%%
127.0.0.1 v=1
%%
127.0.0.1 v=1
localhost v=2
%%
; comment
# comment
   # indented comment
  [all:vars]
   a=1
%%
[all:vars]
a=1 ; b
;b=2
%%
[all:vars]
dup=1
[template_target]
localhost
[all:vars]
dup=2
other=3
%%
[p:children]
c # comment
d#x
[c]
localhost
[d]
%%
[p:children]
c # comment
[c]
localhost
[p:vars]
v=1
%%
[p:children]
c v
[c]
%%
[p:children]
c:vars
%%
[mariadb]
max_connections = 500
%%
[mariadb]
max_connections=500
skip-name-resolve
%%
galera_cluster_name=x
%%
!include x
%%
[all:vars]
pw=Fender2000
pw2=0x1F
pw3=1_000
pw4=5.10
pw5=1e5
pw6=010
pw7=00
pw8=True
pw9=None
pw10=1j
pw11=-5
pw12=+5
pw13=--5
pw14=1+2j
pw15=...
pw16=[1]
pw17={1:2}
pw18={1,2}
pw19=()
pw20=1,2
pw21=a,b
pw22=f"x"
pw23="a" b
pw24=yes
pw25=1e999
pw26=1e-7
pw27=123456789012345678901234567890
pw28=.5
pw29=1.
pw30=(1)
pw31=(1,)
pw32=set()
pw33=1if 2else 3
%%
[all:vars]
x={[1]:2}
%%
[all:vars]
x={[1]:2}x
y={set()}set()
z={[1]
%%
[all:vars]
x=["a", {"b": [1, 2]}]
y={"a": 1, "b": {}}
z=[1, 2
w=[a]
'''

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

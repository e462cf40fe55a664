#!/usr/bin/env python3
"""bussaid.py SEEN: are the signals of a node clean?

SEEN is what busctl monitor --json=short wrote. A PropertiesChanged has at
least one property, each with another value than was said of it before, and
none that is only invalidated; an object is added once, and goes once. Prints
what is wrong; the last line counts.
"""
import json
import sys

OURS = "xyz.openbmc_project."


def main():
    last, there, wrong, count = {}, set(), [], 0
    for line in open(sys.argv[1]):
        try:
            m = json.loads(line)
        except ValueError:      # cut off where the file ended
            continue
        if m.get("type") != "signal" or not m["path"].startswith("/xyz/openbmc_project/"):
            continue
        data, member = m["payload"]["data"], m["member"]
        if member == "PropertiesChanged" and data[0].startswith(OURS):
            count += 1
            if not data[1] or data[2]:
                wrong.append("%s %s: nothing, or no value" % (m["path"], data[0]))
            for name, value in data[1].items():
                key = (m["path"], data[0], name)
                if last.get(key) == value:
                    wrong.append("%s %s: %s, again" % (m["path"], name, value["data"]))
                last[key] = value
        elif member == "InterfacesAdded":
            if data[0] in there:
                wrong.append("%s: added twice" % data[0])
            there.add(data[0])
            for face, props in data[1].items():
                for name, value in props.items():
                    last[(data[0], face, name)] = value
        elif member == "InterfacesRemoved":
            there.discard(data[0])
            last = {k: v for k, v in last.items() if k[0] != data[0]}
    for w in wrong:
        print(w)
    print(count, "changes")
    return len(wrong) > 0 or count == 0


sys.exit(main())
